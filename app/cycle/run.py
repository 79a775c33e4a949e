"""A whole retraining cycle, top to bottom: the loop first, then which function does which step.

Killing the process anywhere is harmless: the next run folds the stream and goes on at the first
step without an event. A step that ran but was not recorded runs again and comes to the same result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from app.cause import Cause
from app.cycle.steps import gating, judging, reporting
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.stream import append_next, read_cycle
from app.ledger.store import Ledger
from app.settings import Settings
from domain.decisions.cycle import Cycle, Step, next_step
from domain.errors import LedgerDamaged, WhyledgerError

_LOG: Final = logging.getLogger("whyledger.cycle")
PERFORM: Final[dict[Step, Callable[[Work], Done]]] = {
    Step.GUARD: judging.guard,
    Step.DRIFT: judging.drift,
    Step.DECIDE: judging.decide,
    Step.EVALUATE: gating.evaluate,
    Step.COMPARE: gating.compare,
}

FITTING: Final = frozenset({Step.MERGE, Step.TRAIN, Step.PARITY, Step.REFIT})


def run_cycle(ledger: Ledger, settings: Settings, cycle: str, *, by_products: bool = True) -> Cycle:
    """Continue the cycle from its first step without an event, until none is left.

    Without `by_products` nothing is told to MLflow and DVC, which no decision looks at.

    Raises:
        UnknownThing: no such cycle was started.
        LedgerDamaged: a step ran and left no event.
    """
    work: Work | None = None
    for _ in range(len(Step) + 1):  # each step once, and one look to see that none is left
        state, history = read_cycle(ledger, cycle)
        step = next_step(state)
        if work is None:
            first = history.entries[0]
            work = Work(
                Knowledge(ledger, settings, state.begun, first.position), state, by_products
            )
        work.state = state
        if step is None:
            return state
        cause = Cause.following(history.entries[-1])
        if step is Step.PROMOTE:
            gating.promote(work, history, cause)
            continue
        if step is Step.HEALTH:
            if state.trained is not None:
                _record_gates(work)
            reporting.report(work, history, cause)
            continue
        done = _fit(step, work) if step in FITTING else PERFORM[step](work)
        append_next(ledger, state, history, [done.event], cause, done.artefacts)
    raise LedgerDamaged(f"cycle {cycle!r}: step {step} ran and left no event; see its function.")


def _fit(step: Step, work: Work) -> Done:
    """A step that trains. Imported here: a cycle that keeps its model never pays for training."""
    from app.cycle.steps import fitting, merging, refitting  # noqa: PLC0415

    return {
        Step.MERGE: merging.merge,
        Step.TRAIN: fitting.train,
        Step.PARITY: fitting.check,
        Step.REFIT: refitting.refit,
    }[step](work)


def _record_gates(work: Work) -> None:
    """Copy the gates' figures to the registry, which is a by-product: its loss stops no cycle."""
    from app.cycle.steps import registry_runs  # noqa: PLC0415 - as above

    try:
        registry_runs.record_gates(work)
    except WhyledgerError as error:
        _LOG.warning("the registry did not take the gates' figures: %s", error)
