"""One retraining cycle's stream: its fold, its next step, and how it ends.

The next step is the first one without an event, so a killed cycle resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from typing import Any, Final, assert_never

from domain.errors import LedgerDamaged
from domain.events.cycle_events import (
    CYCLE_EVENTS,
    AttemptStarted,
    CandidateCompared,
    CandidateEvaluated,
    CandidateRefitted,
    CandidateTrained,
    Conclusion,
    CycleEvent,
    CycleFailed,
    CycleHalted,
    CycleStarted,
    DataMerged,
    Decided,
    DriftMeasured,
    HealthReported,
    NotDecided,
    Outcome,
    ParityChecked,
    PromotionSettled,
    TrainingFailed,
    WindowGuarded,
)
from domain.events.envelope import event_from_data
from domain.events.erasure import Erased
from domain.events.events import Event
from domain.events.unreadable import Unreadable
from domain.events.verdicts import NOT_DECIDED

ATTEMPTS_MAX: Final = 3
_SCHEMA: Final = {kind.type: kind.schema for kind in CYCLE_EVENTS}
RETRAINING: Final[frozenset[Outcome]] = frozenset({"retrain", "bootstrap", "override"})


class Step(StrEnum):
    """The steps of a cycle, in their order."""

    GUARD = "guard"
    DRIFT = "drift"
    DECIDE = "decide"
    MERGE = "merge"
    TRAIN = "train"
    PARITY = "parity"
    EVALUATE = "evaluate"
    COMPARE = "compare"
    REFIT = "refit"  # only where the contract asks for it
    PROMOTE = "promote"
    HEALTH = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """The state of one cycle: what each step left."""

    started: CycleStarted | None = None
    attempts: int = 0
    guarded: WindowGuarded | None = None
    halted: CycleHalted | None = None
    drift: DriftMeasured | None = None
    decided: Decided | None = None
    not_decided: NotDecided | None = None
    merged: DataMerged | None = None
    trained: CandidateTrained | None = None
    training_failed: TrainingFailed | None = None
    parity: ParityChecked | None = None
    evaluated: CandidateEvaluated | None = None
    compared: CandidateCompared | None = None
    refitted: CandidateRefitted | None = None
    settled: PromotionSettled | None = None
    health: HealthReported | None = None
    failed: CycleFailed | None = None

    @property
    def ended(self) -> bool:
        """Whether no step is left."""
        return self.health is not None or self.failed is not None

    @property
    def begun(self) -> CycleStarted:
        """What the cycle was asked to do.

        Raises:
            LedgerDamaged: the stream does not begin with `CycleStarted`.
        """
        if self.started is None:
            raise LedgerDamaged(
                "the cycle's stream does not begin with cycle.started. Stop writing; run "
                "`whyledger verify`."
            )
        return self.started


def next_step(cycle: Cycle) -> Step | None:  # noqa: PLR0911
    """The first step without an event; None when the cycle has ended."""
    if cycle.ended:
        return None
    if cycle.halted or cycle.not_decided or cycle.training_failed:
        return Step.HEALTH
    if cycle.guarded is None:
        return Step.GUARD
    if cycle.drift is None:
        return Step.DRIFT
    if cycle.decided is None:
        return Step.DECIDE
    if cycle.decided.outcome not in RETRAINING:
        return Step.HEALTH
    if cycle.merged is None:
        return Step.MERGE
    if cycle.trained is None:
        return Step.TRAIN
    return _next_gate(cycle)


def _next_gate(cycle: Cycle) -> Step:
    """The gates stop at the first that fails; what is left then is the health report."""
    if cycle.parity is None:
        return Step.PARITY
    if not cycle.parity.passed:
        return Step.HEALTH
    if cycle.evaluated is None:
        return Step.EVALUATE
    if not cycle.evaluated.passed:
        return Step.HEALTH
    if cycle.compared is None:
        return Step.COMPARE
    if not cycle.compared.passed or cycle.settled is not None:
        return Step.HEALTH
    if cycle.compared.refit and cycle.refitted is None:
        return Step.REFIT
    return Step.PROMOTE


def conclusion(cycle: Cycle) -> Conclusion:
    """How the cycle ends, from what its steps left."""
    if cycle.halted:
        return "halted"
    if cycle.not_decided:
        return NOT_DECIDED
    if cycle.training_failed or cycle.failed:
        return "failed"
    if cycle.decided and cycle.decided.outcome not in RETRAINING:
        return "kept"
    return "promoted" if cycle.settled and cycle.settled.promoted else "rejected"


def evolve(state: Cycle, event: CycleEvent) -> Cycle:  # noqa: PLR0911, PLR0912
    """The state after `event`. Total, pure, and never refuses: history already happened."""
    match event:
        case CycleStarted():
            return replace(state, started=event)
        case AttemptStarted():
            return replace(state, attempts=event.attempt)
        case WindowGuarded():
            return replace(state, guarded=event)
        case CycleHalted():
            return replace(state, halted=event)
        case DriftMeasured():
            return replace(state, drift=event)
        case Decided():
            return replace(state, decided=event)
        case NotDecided():
            return replace(state, not_decided=event)
        case DataMerged():
            return replace(state, merged=event)
        case CandidateTrained():
            return replace(state, trained=event)
        case TrainingFailed():
            return replace(state, training_failed=event)
        case ParityChecked():
            return replace(state, parity=event)
        case CandidateEvaluated():
            return replace(state, evaluated=event)
        case CandidateCompared():
            return replace(state, compared=event)
        case CandidateRefitted():
            return replace(state, refitted=event)
        case PromotionSettled():
            return replace(state, settled=event)
        case HealthReported():
            return replace(state, health=event)
        case CycleFailed():
            return replace(state, failed=event)
        case _:
            assert_never(event)


def fold(events: Iterable[Event | Erased | Unreadable], start: Cycle | None = None) -> Cycle:
    """The state after all `events`, oldest first, from `start` (a snapshot) or from nothing.

    What is no event of a cycle is passed over.
    """
    known = (event for event in events if isinstance(event, CYCLE_EVENTS))
    return reduce(evolve, known, start or Cycle())


def fold_state(state: Mapping[str, Any]) -> Cycle:
    """The state from each step's data by event type, as the cycles' read model keeps them."""
    return fold(event_from_data(kind, _SCHEMA[kind], data) for kind, data in state.items())
