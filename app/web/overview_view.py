"""What the overview page shows of one model: plain values in, words and pictures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.audit.champion import ChampionTold
from app.audit.change import NOTHING_DECIDED, Change
from app.audit.clauses import Clause, Node
from app.audit.cycle import aftermath_of, conclusion_of, read_of, reason_of
from app.audit.decision import Decision
from app.audit.error_since import error_since
from app.audit.gates import no_gates
from app.audit.health import Health
from app.projections.cycles import CycleKept
from app.projections.models import ModelView
from app.web.change_rows import ChangeRow, change_row
from app.web.clause_bar import clause_bar
from app.web.drift_chart import BAND_LINES
from app.web.window_pictures import WindowPictures, window_pictures
from domain.contract.contract import Contract
from domain.decisions.cycle import Cycle
from domain.decisions.health import State
from domain.events.cycle_events import Conclusion
from domain.events.verdicts import NOT_DECIDED
from domain.target_scale import SCALE_WORDS, Transform

STATE_SYMBOL: Final[Mapping[State, str]] = {
    "healthy": "✓",
    "degraded": "✗",
    "stale": "!",
    "no champion": "?",
}
CHANGES_SHOWN: Final = 30
_NO_WINDOWS: Final = WindowPictures()
_EARLY: Final[frozenset[Conclusion | None]] = frozenset({None, "halted", NOT_DECIDED, "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model, as the read models hold it."""

    model: ModelView
    contract: Contract
    health: Health
    serving: ChampionTold | None  # None: nobody serves
    happened_last: str | None  # None: nothing yet
    transform: Transform  # of who serves, which a later contract need not share

    @property
    def scale(self) -> str:
        """Of the errors of who serves: 'log' or 'native'."""
        return SCALE_WORDS[self.transform]

    @property
    def scales(self) -> str:
        """Of the errors of production and of the holdouts: 'log', or two where they differ."""
        judged_on = SCALE_WORDS[self.contract.target.transform]
        if self.scale == judged_on:
            return self.scale
        return f"{self.scale} (production) or {judged_on} (holdouts judged by the contract)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number with its name."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The latest cycle did not come to its end in the ordinary way, or has not yet."""

    cycle: str
    reason: str  # empty while it goes on
    aftermath: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the template names. Without a model only the first five and alarms are filled."""

    now: str
    ledger_size: int
    models: tuple[str, ...]
    alarms: tuple[str, ...] = ()  # of the process: damage, signing, anchors
    checkpoint: str = ""  # what the newest signed checkpoint vouches for
    model: str | None = None
    title: str = ""
    scale: str = ""
    contract_digest: str = ""
    policy: str = ""
    headline: str = ""  # what happened last
    health: Health | None = None
    state_symbol: str = "?"
    reasons: tuple[str, ...] = ()  # of the health, but for what the notice says
    champion: ChampionTold | None = None
    decision: Decision | None = None
    came: str = ""  # of the decision; empty when the notice says it
    notice: Notice | None = None
    clauses: tuple[tuple[Clause, Markup], ...] = ()
    nodes: tuple[Node, ...] = ()  # how a tree joins the clauses; empty where all are needed
    met: int = 0
    counts: tuple[Figure, ...] = ()
    rates: str = ""
    error_since: str = ""
    error_since_note: str = ""
    bands: tuple[tuple[float, str], ...] = tuple(BAND_LINES)
    windows: WindowPictures = _NO_WINDOWS
    gates_note: str = ""  # why no gate stands here
    changes: tuple[ChangeRow, ...] = ()
    changes_note: str = ""


def overview_of(
    facts: ModelFacts,
    cycles: Sequence[CycleKept],
    changes: Sequence[tuple[Change, Decision | None]],
    *,
    latest: Decision | None,
    trained: CycleKept | None,
    now: str,
    ledger_size: int,
    models: Sequence[str],
) -> Overview:
    """The page of one model. `cycles` oldest first, `changes` newest first.

    `latest`: its newest decision. `trained`: the cycle of its newest candidate.
    """
    clauses = latest.clauses if latest else ()
    read = [read_of(each).cycle for each in cycles]
    serves = facts.serving.model_version if facts.serving else None
    reports = [(kept.cycle, cycle.health) for kept, cycle in zip(cycles, read, strict=True)]
    error, note = error_since(serves, reports, scale=facts.scale)
    notice = _notice(cycles[-1].cycle, read[-1]) if cycles else None
    return Overview(
        now=now,
        ledger_size=ledger_size,
        models=tuple(models),
        model=facts.model.model,
        title=facts.contract.title,
        scale=facts.scales,
        contract_digest=facts.model.contract_digest,
        policy=facts.model.policy,
        headline=facts.happened_last or NOTHING_DECIDED,
        health=facts.health,
        state_symbol=STATE_SYMBOL[facts.health.state],
        reasons=_not_yet_said(facts.health.reasons, notice),
        champion=facts.serving,
        decision=latest,
        came=""
        if latest is None or (notice and notice.cycle == latest.cycle)
        else latest.aftermath,
        notice=notice,
        clauses=tuple((clause, clause_bar(clause)) for clause in clauses),
        nodes=latest.nodes if latest else (),
        met=sum(clause.verdict == "met" for clause in clauses),
        counts=_counts(facts),
        rates=facts.health.rates,
        error_since=error,
        error_since_note=note,
        windows=window_pictures(tuple(cycles), trained),
        gates_note=no_gates(facts.model.candidates),
        changes=tuple(change_row(*each) for each in changes[:CHANGES_SHOWN]),
        changes_note=f"The newest {CHANGES_SHOWN}." if len(changes) > CHANGES_SHOWN else "",
    )


def _notice(id: str, latest: Cycle) -> Notice | None:
    """What to say of the latest cycle when the verdict above it is not its own."""
    if conclusion_of(latest) not in _EARLY:
        return None
    return Notice(cycle=id, reason=reason_of(latest), aftermath=aftermath_of(latest))


def _not_yet_said(reasons: tuple[str, ...], said: Notice | None) -> tuple[str, ...]:
    """The health's reasons without the one the notice above them already gives."""
    if said is None or not said.reason:
        return reasons
    return tuple(reason for reason in reasons if said.reason not in reason)


def _counts(facts: ModelFacts) -> tuple[Figure, ...]:
    counts = facts.health.counts
    figures = (
        Figure(name="cycles", value=str(counts.cycles)),
        Figure(name="decisions", value=str(counts.decisions)),
        Figure(name="trainings", value=str(counts.trainings)),
        Figure(name="promoted", value=str(counts.promotions)),
        Figure(name="rejected", value=str(counts.rejections)),
        Figure(name="rollbacks", value=str(facts.model.rollbacks)),
        Figure(name="halted", value=str(facts.health.halted)),
        Figure(name="failed", value=str(facts.health.failed)),
        Figure(name="undecided", value=str(facts.health.undecided)),
    )
    aside = (Figure(name="set aside", value=str(counts.set_aside)),) if counts.set_aside else ()
    return figures + aside
