"""What a cycle came to: its sentence, clauses and gates, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from threading import Lock
from typing import Any, Final

from cachetools import LRUCache, cached

from app.audit.clauses import Clause, Node, clauses_of, nodes_of
from app.audit.error_increase import error_increase
from app.audit.gates import Gate, gates_of
from app.audit.setting_aside import set_aside_sentence, sets_aside_sentence
from app.projections.cycles import CycleKept, CycleView
from app.projections.read_model import object_of
from domain.decisions.cycle import Cycle, fold_state
from domain.events.cycle_events import Conclusion
from domain.events.verdicts import NOT_DECIDED

NOT_FINISHED: Final = "not finished"
NOBODY_SERVES: Final = "nobody serves yet"
_CHARACTERS_REMEMBERED: Final = 2_000_000  # of cycles' states: some two hundred of ordinary ones


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTold:
    """One cycle in words, the same wherever it is shown."""

    cycle: str  # 'car-price-12'
    model: str
    as_of: str  # UTC
    outcome: str | None  # None: it came to no decision, or has not yet
    headline: str  # what happened, and who serves: 'Kept: car-price/11 serves on.'
    sentence: str  # the verdict sentence; what stopped the cycle when it came to none
    clauses: tuple[Clause, ...]  # empty when nothing was decided
    nodes: tuple[Node, ...]  # how a tree joins them; empty where all of them are needed
    gates: tuple[Gate, ...]  # empty when nothing was trained
    error: str  # whether the champion's error has grown; empty when nothing was measured
    conclusion: Conclusion | None  # None until it has ended
    conclusion_reason: str  # why it ended early; empty otherwise: the gates say why
    candidate: str | None  # 'car-price/12'
    champion_compared: str | None  # whom the candidate was compared with
    champion: str | None  # who serves when it has ended; who served before, until then
    # What came of it: 'rejected. Candidate car-price/12 against champion car-price/11.'
    aftermath: str
    set_aside_by: str | None  # the later cycle that set it aside; None: it counts
    set_aside: str  # 'Set aside by car-price-13: the clock ran ahead.'; empty: it counts


def cycle_told(
    state: Mapping[str, Any],
    *,
    set_aside_by: str | None = None,
    set_aside_reason: str | None = None,
) -> CycleTold:
    """One cycle in words.

    Args:
        state: its steps' data by event type, as the read model keeps them.
        set_aside_by: the later cycle that set it aside, which its own steps do not say.
        set_aside_reason: why, as that one recorded it.

    Raises:
        LedgerDamaged: it does not begin with `cycle.started`.
    """
    return _told(fold_state(state), set_aside_by, set_aside_reason)


def _told(cycle: Cycle, set_aside_by: str | None, set_aside_reason: str | None) -> CycleTold:
    aside = set_aside_sentence(set_aside_by, set_aside_reason)
    return CycleTold(
        cycle=cycle.begun.cycle,
        model=cycle.begun.model,
        as_of=cycle.begun.as_of,
        outcome=_outcome(cycle),
        headline=f"{headline_of(cycle)} {aside}".rstrip(),
        sentence=_sentence(cycle),
        clauses=clauses_of(cycle.decided.verdict.clauses) if cycle.decided else (),
        nodes=nodes_of(cycle.decided.verdict) if cycle.decided else (),
        gates=gates_of(cycle),
        error=error_increase(cycle.drift),
        conclusion=conclusion_of(cycle),
        conclusion_reason=reason_of(cycle),
        candidate=cycle.trained.candidate if cycle.trained else None,
        champion_compared=cycle.compared.champion_version if cycle.compared else None,
        champion=champion_of(cycle),
        aftermath=aftermath_of(cycle),
        set_aside_by=set_aside_by,
        set_aside=aside,
    )


def told_of(view: CycleView) -> CycleTold:
    """The cycle as the read model has it, in words.

    Raises:
        LedgerDamaged: it does not begin with `cycle.started`.
    """
    return cycle_told(
        view.state, set_aside_by=view.set_aside_by, set_aside_reason=view.set_aside_reason
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleRead:
    """One cycle's steps, folded, and the same in words."""

    cycle: Cycle
    told: CycleTold
    characters: int  # of the state that was read


def read_of(kept: CycleKept) -> CycleRead:
    """The cycle as the read model keeps it, folded and in words.

    Both follow from what is kept alone, so whoever asks again for the same text is given the same.

    Raises:
        LedgerDamaged: it does not begin with `cycle.started`.
        ReadModelUnfit: its state is no JSON object.
    """
    return _read(kept.state, kept.set_aside_by, kept.set_aside_reason)


@cached(LRUCache(_CHARACTERS_REMEMBERED, attrgetter("characters")), lock=Lock())
def _read(state: str, set_aside_by: str | None, set_aside_reason: str | None) -> CycleRead:
    cycle = fold_state(object_of("state", CycleKept, state))
    told = _told(cycle, set_aside_by, set_aside_reason)
    return CycleRead(cycle=cycle, told=told, characters=len(state))


def conclusion_of(cycle: Cycle) -> Conclusion | None:
    """How the cycle ended; None until it has."""
    if cycle.failed:
        return "failed"
    return cycle.health.conclusion if cycle.health else None


def champion_of(cycle: Cycle) -> str | None:
    """Who serves when the cycle has ended; until then, as far as it has come."""
    if cycle.health:
        return cycle.health.champion
    if cycle.settled and cycle.settled.promoted:
        return cycle.settled.model_version
    return cycle.begun.serves


def headline_of(cycle: Cycle) -> str:
    """What happened, and who serves since: what a reader wants before the reasons."""
    ended = conclusion_of(cycle)
    if cycle.settled and cycle.settled.promoted:
        before = cycle.begun.serves
        instead = f"in place of {before}" if before else "as the first"
        then = ", then failed" if ended == "failed" else ""
        promoted = f"Promoted{then}: {cycle.settled.model_version} serves {instead}."
        return f"{promoted}{_another_judged(cycle)}"
    champion = champion_of(cycle)
    serves = f"{champion} serves on" if champion else NOBODY_SERVES
    return f"{_what_happened(cycle, ended)}: {serves}.{_another_judged(cycle)}"


def aftermath_of(cycle: Cycle) -> str:
    """How the cycle ended, and why if early; who was compared with whom; what it set aside."""
    ended, reason = conclusion_of(cycle) or NOT_FINISHED, reason_of(cycle)
    said = [f"{ended}: {reason.removesuffix('.')}." if reason else f"{ended}."]
    if cycle.trained is not None:
        against = cycle.compared.champion_version if cycle.compared else None
        compared = f" against champion {against}" if against else ""
        said.append(f"Candidate {cycle.trained.candidate}{compared}.")
    said.append(sets_aside_sentence("It", cycle.begun.sets_aside, cycle.begun.reason))
    return " ".join(said).rstrip()


def reason_of(cycle: Cycle) -> str:
    """The recorded reason of a cycle that failed, could not decide, or halted; else empty."""
    for early in (cycle.failed, cycle.training_failed, cycle.not_decided, cycle.halted):
        if early is not None:
            return early.reason
    return ""


def _another_judged(cycle: Cycle) -> str:
    """Whom a cycle that came to its decision judged, where it is not who served."""
    judged, serves = cycle.begun.champion, cycle.begun.serves
    decided = cycle.decided or cycle.not_decided
    if decided is None or judged is None or serves is None or judged == serves:
        return ""
    return f" Judged was {judged}."


def _what_happened(cycle: Cycle, ended: Conclusion | None) -> str:
    match ended:
        case None:
            return NOT_FINISHED.capitalize()
        case "rejected" if cycle.trained:
            return f"Candidate {cycle.trained.candidate} turned away"
        case "halted":
            return "Halted, nothing was judged"
        case _:
            return ended.capitalize()


def _outcome(cycle: Cycle) -> str | None:
    if cycle.decided:
        return cycle.decided.outcome
    return NOT_DECIDED if cycle.not_decided else None


def _sentence(cycle: Cycle) -> str:
    decided = cycle.decided or cycle.not_decided
    if decided:
        return decided.sentence
    if cycle.halted:
        return f"HALTED: {cycle.halted.reason}"
    return f"FAILED: {cycle.failed.reason}" if cycle.failed else NOT_FINISHED.upper()
