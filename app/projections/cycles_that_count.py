"""Which cycles count for a model: all that no later one has set aside, and what follows from them.

A cycle that was a mistake (an `as_of` too late, a clock that ran ahead) is set aside by one that
looks back from an earlier time. Cool-down, new samples and the end of training data are then
counted from the last cycle that counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from app.projections.champions import get_champion
from app.projections.cycles import ASIDE, CYCLES, get_cycle
from app.projections.models import ModelView
from app.projections.reigns import reigns_of
from domain.decisions.cycle import RETRAINING
from domain.events.cycle_events import CandidateTrained
from domain.events.verdicts import NOT_DECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One cycle that counts."""

    cycle: str
    as_of: str
    outcome: str | None
    training_completed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the cycles that count leave a next one to start from."""

    champion: str | None  # the last version of theirs that a gate or a rollback let serve
    last_retraining_as_of: str | None
    consumed_until: int | None  # label cut-off of the last completed training
    consumed_before: str | None  # its as_of: the end of the event times that it could read


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whom a cycle that looks back from a time judges, and which later cycles it sets aside."""

    champion: str | None  # None: no cycle that counts at as_of has made one
    sets_aside: tuple[str, ...]  # cycles that count, and look back from a later time


def judged_by(
    connection: Connection, model: ModelView, *, as_of: str | None, number: int
) -> Judged:
    """Whom the model's cycle with this number judges when it looks back from `as_of`.

    None: from a time later than every cycle so far, so that it sets none aside.

    Who serves, unless a cycle that counts no longer made that one: then who served last of those
    that cycles which count have made. A rollback among them stays what a person wanted.
    """
    aside = set_aside(connection, model.model, before_number=number)
    later: tuple[str, ...] = ()
    if as_of is not None:
        looked = _looking_back_from_after(connection, model.model, as_of, before_number=number)
        later = tuple(each for each in looked if each not in aside)
    champion = model.champion
    if model.champion_cycle in {*aside, *later}:
        champion = _last_that_counts(connection, model.model, number, {*aside, *later})
    return Judged(champion=champion, sets_aside=later)


def judged_next(connection: Connection, model: ModelView) -> str | None:
    """Whom the model's next cycle judges when it sets none aside; None: it begins anew."""
    number = model.cycles_started + 1
    return judged_by(connection, model, as_of=None, number=number).champion


def _looking_back_from_after(
    connection: Connection, model: str, as_of: str, *, before_number: int
) -> list[str]:
    """The model's cycles with a later as_of, below `before_number`, oldest first."""
    rows = connection.execute(
        select(CYCLES.c.cycle, CYCLES.c.number).where(
            CYCLES.c.model == model, CYCLES.c.as_of > as_of
        )
    )
    found = sorted((row.number, row.cycle) for row in rows if row.number < before_number)
    return [cycle for _, cycle in found]


def _last_that_counts(
    connection: Connection, model: str, before_number: int, without: Collection[str]
) -> str | None:
    """Who served last of those that cycles below a number have made, but for some; None: nobody."""
    for reign in reversed(reigns_of(connection, model)):
        cycle = get_champion(connection, model, reign.model_version).cycle
        made_by = connection.execute(
            select(CYCLES.c.number).where(CYCLES.c.cycle == cycle, CYCLES.c.model == model)
        ).scalar_one_or_none()
        if cycle not in without and made_by is not None and made_by < before_number:
            return reign.model_version
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCounts:
    """How often what happened in the cycles that count, the first among them; how many do not."""

    cycles: int  # that have ended, in whatever way
    decisions: int  # undecided ones do not count
    trainings: int  # started, failed ones included
    promotions: int  # by cycles
    rejections: int
    halted: int  # cycles that ended so, as the next two
    failed: int
    undecided: int
    set_aside: int  # cycles that a later one set aside: nothing of them is in the other counts


def model_counts(connection: Connection, model: ModelView) -> ModelCounts:
    """The model's counts without what belongs to cycles that were set aside."""
    column = CYCLES.c
    aside = connection.execute(
        select(
            func.count().label("cycles"),
            _number(column.outcome.is_not(None), column.outcome != NOT_DECIDED).label("decisions"),
            _number(column.outcome.in_(sorted(RETRAINING))).label("trainings"),
            _number(column.promoted == 1).label("promotions"),
            _number(column.training_completed == 1, column.promoted == 0).label("rejections"),
            _number(column.conclusion == "halted").label("halted"),
            _number(column.conclusion == "failed").label("failed"),
            _number(column.conclusion == NOT_DECIDED).label("undecided"),
        ).where(column.model == model.model, ASIDE)
    ).one()
    return ModelCounts(
        cycles=model.cycles_ended - aside.cycles,  # an open one sets aside, at most
        decisions=model.decisions - aside.decisions,
        trainings=model.trainings - aside.trainings,
        promotions=model.promotions - aside.promotions,
        rejections=model.rejections - aside.rejections,
        halted=model.halted - aside.halted,
        failed=model.failed - aside.failed,
        undecided=model.undecided - aside.undecided,
        set_aside=aside.cycles,
    )


def _number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows they all hold of."""
    return func.count(case((and_(*conditions), 1)))


def set_aside(connection: Connection, model: str, *, before_number: int) -> frozenset[str]:
    """The model's cycles that one with a number below `before_number` has set aside."""
    by = CYCLES.alias()
    found = connection.execute(
        select(CYCLES.c.cycle)
        .join(by, CYCLES.c.set_aside_by == by.c.cycle)
        .where(CYCLES.c.model == model, ASIDE, by.c.number < before_number)
    )
    return frozenset(found.scalars())


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
        )
        for row in rows
        if row.cycle not in aside
    ]


def basis(
    connection: Connection, model: str, cycles: list[Counted], *, up_to: int | None = None
) -> Basis:
    """What `cycles`, the ones of `model` that count, leave a next one to start from.

    `up_to`: a position; no promotion or rollback after it is looked at.
    """
    retrained = [each.as_of for each in cycles if each.outcome in RETRAINING]
    completed = [each for each in cycles if each.training_completed]
    consumed_until = None
    if completed:
        trained = get_cycle(connection, completed[-1].cycle).state[CandidateTrained.type]
        consumed_until = trained["label_cutoff"]
    return Basis(
        champion=_last_of_theirs(connection, model, {each.cycle for each in cycles}, up_to),
        last_retraining_as_of=retrained[-1] if retrained else None,
        consumed_until=consumed_until,
        consumed_before=completed[-1].as_of if completed else None,
    )


def _last_of_theirs(
    connection: Connection, model: str, cycles: set[str], up_to: int | None
) -> str | None:
    """Who served last of the versions that these cycles made; None: they made none."""
    for reign in reversed(reigns_of(connection, model)):
        if up_to is not None and reign.since > up_to:
            continue
        if get_champion(connection, model, reign.model_version).cycle in cycles:
            return reign.model_version
    return None
