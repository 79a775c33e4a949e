"""One model's stream: its fold, and the decisions on contracts, promotion and rollback.

Deciding may refuse; applying never does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import assert_never

from domain.errors import PromotionRefused, RollbackRefused, UnknownModel
from domain.events.cycle_events import HealthReported, PromotionSettled
from domain.events.erasure import Erased
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    ContractAdopted,
    Event,
    Json,
    ModelEvent,
    ValueMeasured,
)
from domain.events.unreadable import Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """A model version that serves or once served, and what is needed to serve it again."""

    model_version: str
    plan_sha256: str
    reference_sha256: str
    trained_until: str
    registry_run: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The state of one model."""

    model: str | None = None
    contract_digest: str | None = None
    champion: Champion | None = None
    champions: tuple[Champion, ...] = ()  # every version that ever was champion, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptContract:
    """Hold the model's rows to this contract from here on."""

    model: str
    contract: Json
    contract_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteCandidate:
    """Make the candidate champion, unless the champion is no longer the one the gate compared."""

    model: str
    candidate: Champion
    compared_with: str | None  # the champion of the deployment gate
    serves: str | None  # who answered when the cycle started, and is replaced
    cycle: str
    as_of: str
    ended: ValueMeasured | None = None  # what the champion it replaces was worth


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Let an earlier champion serve again."""

    model: str
    to: str
    reason: str
    ended: ValueMeasured | None = None  # what the champion it takes away was worth


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHealth:
    """End the cycle with this report, and with what its champion is worth so far."""

    measured: ValueMeasured | None
    health: HealthReported


def evolve(state: Lifecycle, event: ModelEvent) -> Lifecycle:
    """The state after `event`. Total, pure, and never refuses: history already happened."""
    match event:
        case ContractAdopted():
            return replace(state, model=event.model, contract_digest=event.contract_digest)
        case CandidatePromoted() | ChampionRolledBack():
            champion = Champion(
                model_version=event.model_version,
                plan_sha256=event.plan_sha256,
                reference_sha256=event.reference_sha256,
                trained_until=event.trained_until,
                registry_run=event.registry_run,
            )
            known = champion in state.champions
            champions = state.champions if known else (*state.champions, champion)
            return replace(state, champion=champion, champions=champions)
        case ValueMeasured():
            return state
        case _:
            assert_never(event)


def fold(
    events: Iterable[Event | Erased | Unreadable], start: Lifecycle | None = None
) -> Lifecycle:
    """The state after all `events`, oldest first, from `start` (a snapshot) or from nothing.

    What is no event of a model is passed over.
    """
    known = (event for event in events if isinstance(event, ModelEvent))
    return reduce(evolve, known, start or Lifecycle())


def adopt_contract(state: Lifecycle, command: AdoptContract) -> tuple[ModelEvent, ...]:
    """The event that adopts the contract; empty when this very document is already in force."""
    if state.contract_digest == command.contract_digest:
        return ()
    return (
        ContractAdopted(
            model=command.model,
            contract=command.contract,
            contract_digest=command.contract_digest,
        ),
    )


def promote(state: Lifecycle, command: PromoteCandidate) -> tuple[ModelEvent, ...]:
    """The event that promotes the candidate, after what the champion was worth that it replaces.

    Empty when it already serves.

    Raises:
        UnknownModel: no contract was adopted under this name.
        PromotionRefused: the champion is no longer the one the deployment gate compared.
    """
    if state.model is None:
        raise UnknownModel.named(command.model)
    champion = state.champion.model_version if state.champion else None
    candidate = command.candidate
    if champion == candidate.model_version:
        return ()
    if champion != command.serves:
        compared, served = command.compared_with, command.serves
        meanwhile = "" if compared == served else f" while {served!r} served"
        raise PromotionRefused(
            f"cannot promote {candidate.model_version!r}: its deployment gate compared it with "
            f"{compared!r}{meanwhile}, and {champion!r} serves now. Run another cycle."
        )
    return (
        *_of_champion(state, command.ended),
        CandidatePromoted(
            model=command.model,
            model_version=candidate.model_version,
            replaced=champion,
            plan_sha256=candidate.plan_sha256,
            reference_sha256=candidate.reference_sha256,
            cycle=command.cycle,
            as_of=command.as_of,
            trained_until=candidate.trained_until,
            registry_run=candidate.registry_run,
        ),
    )


def settle(
    state: Lifecycle, command: PromoteCandidate
) -> tuple[ModelEvent | PromotionSettled, ...]:
    """What `promote` says, and then the word that the cycle is settled; or only why it was refused.

    Raises:
        UnknownModel: no contract was adopted under this name.
    """
    candidate = command.candidate.model_version
    try:
        promoted = promote(state, command)
    except PromotionRefused as refusal:
        return (PromotionSettled(promoted=False, model_version=candidate, reason=refusal.message),)
    reason = f"{candidate} replaces {command.serves or 'nobody'}"
    return (*promoted, PromotionSettled(promoted=True, model_version=candidate, reason=reason))


def roll_back(state: Lifecycle, command: RollBack) -> tuple[ModelEvent, ...]:
    """The event that makes an earlier champion serve again, after what the one before was worth.

    Raises:
        UnknownModel: no contract was adopted under this name.
        RollbackRefused: the version named never was champion, or it serves already.
    """
    if state.model is None:
        raise UnknownModel.named(command.model)
    if state.champion is None:
        raise RollbackRefused(
            f"cannot roll back to {command.to!r}: no version was ever promoted. Run a cycle first."
        )
    serving = state.champion.model_version
    earlier = {c.model_version: c for c in state.champions if c.model_version != serving}
    target = earlier.get(command.to)
    if target is None:
        why = "it serves already" if command.to == serving else "it never was champion"
        raise RollbackRefused(
            f"cannot roll back to {command.to!r}: {why}. "
            f"Earlier champions: {', '.join(earlier) or 'none'}."
        )
    return (
        *_of_champion(state, command.ended),
        ChampionRolledBack(
            model=state.model,
            model_version=target.model_version,
            replaced=serving,
            plan_sha256=target.plan_sha256,
            reference_sha256=target.reference_sha256,
            trained_until=target.trained_until,
            registry_run=target.registry_run,
            reason=command.reason,
        ),
    )


def report(state: Lifecycle, command: ReportHealth) -> tuple[ValueMeasured | HealthReported, ...]:
    """The cycle's report, after what the champion is worth that still serves."""
    return (*_of_champion(state, command.measured), command.health)


def _of_champion(state: Lifecycle, measured: ValueMeasured | None) -> tuple[ValueMeasured, ...]:
    """`measured`, unless it is of a version that serves no longer: what ended its reign has it."""
    serving = state.champion.model_version if state.champion else None
    return (measured,) if measured is not None and measured.model_version == serving else ()
