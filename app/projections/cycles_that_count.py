"""Which cycles count for a model: all that no later one has set aside, and what follows from them.

A cycle that was a mistake (an `as_of` too late, a clock that ran ahead) is set aside by one that
looks back from an earlier time. Cool-down, new samples and the end of training data are then
counted from the last cycle that counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.projections.cycles import CYCLES, get_cycle
from domain.decisions.cycle import RETRAINING
from domain.events.cycle_events import CandidateTrained, CycleStarted, PromotionSettled


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One cycle that counts."""

    cycle: str
    as_of: str
    outcome: str | None
    training_completed: bool
    promoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the cycles that count leave a next one to start from."""

    champion: str | None  # the last model version one of them promoted
    last_retraining_as_of: str | None
    consumed_until: int | None  # label cut-off of the last completed training


def set_aside(connection: Connection, model: str, *, before_number: int) -> frozenset[str]:
    """The model's cycles that one with a number below `before_number` has set aside."""
    # The one JSON text that says so; the states of all cycles are too much to read each time.
    some = CYCLES.c.state.like('%"sets_aside":["%')
    states = connection.execute(
        select(CYCLES.c.cycle).where(CYCLES.c.model == model, CYCLES.c.number < before_number, some)
    ).scalars()
    begun = (get_cycle(connection, cycle).state[CycleStarted.type] for cycle in states.all())
    return frozenset(cycle for each in begun for cycle in each["sets_aside"])


def counted_cycles(
    connection: Connection, model: str, *, before_number: int, aside: frozenset[str]
) -> list[Counted]:
    """The model's cycles below `before_number` that are not set `aside`, oldest first."""
    rows = connection.execute(
        select(
            CYCLES.c.cycle,
            CYCLES.c.as_of,
            CYCLES.c.outcome,
            CYCLES.c.training_completed,
            CYCLES.c.conclusion,
        )
        .where(CYCLES.c.model == model, CYCLES.c.number < before_number)
        .order_by(CYCLES.c.number)
    )
    return [
        Counted(
            cycle=row.cycle,
            as_of=row.as_of,
            outcome=row.outcome,
            training_completed=bool(row.training_completed),
            promoted=row.conclusion == "promoted",
        )
        for row in rows
        if row.cycle not in aside
    ]


def basis(connection: Connection, cycles: list[Counted]) -> Basis:
    """What `cycles`, the ones that count, leave a next one to start from."""
    promoted = [each.cycle for each in cycles if each.promoted]
    retrained = [each.as_of for each in cycles if each.outcome in RETRAINING]
    completed = [each.cycle for each in cycles if each.training_completed]
    champion = consumed_until = None
    if promoted:
        settled = get_cycle(connection, promoted[-1]).state[PromotionSettled.type]
        champion = settled["model_version"]
    if completed:
        trained = get_cycle(connection, completed[-1]).state[CandidateTrained.type]
        consumed_until = trained["label_cutoff"]
    return Basis(
        champion=champion,
        last_retraining_as_of=retrained[-1] if retrained else None,
        consumed_until=consumed_until,
    )
