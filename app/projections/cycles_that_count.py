"""Which cycles count for a model: all that no later one has set aside, and what follows from them.

A cycle that was a mistake (an `as_of` too late, a clock that ran ahead) is set aside by one that
looks back from an earlier time. Cool-down, new samples and the end of training data are then
counted from the last cycle that counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, select

from app.projections.champions import get_champion
from app.projections.cycles import ASIDE, CYCLES, CycleView, get_cycle
from app.projections.decisions import DECISIONS
from app.projections.models import ModelView
from app.projections.reigns import reigns_newest_first
from domain.decisions.cycle import RETRAINING
from domain.events.cycle_events import CandidateTrained
from domain.events.verdicts import NOT_DECIDED


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
    connection: Connection,
    model: str,
    before_number: int,
    without: Collection[str],
    up_to: int | None = None,
) -> str | None:
    """Who served last of those that cycles below a number have made, but for some; None: nobody.

    `up_to`: a position; no promotion or rollback after it is looked at.
    """
    for reign in reigns_newest_first(connection, model, up_to=up_to):
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
    aside = connection.execute(_OF_THOSE_SET_ASIDE, {"model": model.model}).one()
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


_OF_THOSE_SET_ASIDE: Final = select(
    func.count().label("cycles"),
    _number(CYCLES.c.outcome.is_not(None), CYCLES.c.outcome != NOT_DECIDED).label("decisions"),
    _number(CYCLES.c.outcome.in_(sorted(RETRAINING))).label("trainings"),
    _number(CYCLES.c.promoted == 1).label("promotions"),
    _number(CYCLES.c.training_completed == 1, CYCLES.c.promoted == 0).label("rejections"),
    _number(CYCLES.c.conclusion == "halted").label("halted"),
    _number(CYCLES.c.conclusion == "failed").label("failed"),
    _number(CYCLES.c.conclusion == NOT_DECIDED).label("undecided"),
).where(CYCLES.c.model == bindparam("model"), ASIDE)


_BY: Final = CYCLES.alias()
_SET_ASIDE: Final = (  # made once: that takes longer than to run it
    select(CYCLES.c.cycle)
    .join(_BY, CYCLES.c.set_aside_by == _BY.c.cycle)
    .where(CYCLES.c.model == bindparam("of"), ASIDE, _BY.c.number < bindparam("before_number"))
)


def set_aside(connection: Connection, model: str, *, before_number: int) -> frozenset[str]:
    """The model's cycles that one with a number below `before_number` has set aside."""
    asked = {"of": model, "before_number": before_number}
    return frozenset(connection.execute(_SET_ASIDE, asked).scalars())


def basis(
    connection: Connection, model: str, *, before_number: int, aside: frozenset[str], up_to: int
) -> Basis:
    """What the model's cycles below a number leave it to start from; but for those `aside`.

    `up_to`: the position where it starts; nothing after it is looked at.
    """
    completed = _last_completed(connection, model, aside, up_to)
    return Basis(
        champion=_last_that_counts(connection, model, before_number, aside, up_to),
        last_retraining_as_of=_last_retraining(connection, model, aside, up_to),
        consumed_until=completed.state[CandidateTrained.type]["label_cutoff"]
        if completed
        else None,
        consumed_before=completed.as_of if completed else None,
    )


def _last_retraining(
    connection: Connection, model: str, aside: frozenset[str], up_to: int
) -> str | None:
    """The as_of of the last decision to retrain, however it ended."""
    found: list[tuple[int, str]] = []
    for outcome in sorted(RETRAINING):
        newest = connection.execute(
            select(DECISIONS.c.position, DECISIONS.c.as_of, DECISIONS.c.cycle)
            .where(
                DECISIONS.c.model == model,
                DECISIONS.c.outcome == outcome,
                DECISIONS.c.position <= up_to,
            )
            .order_by(DECISIONS.c.position.desc())
            .limit(1 + len(aside))  # so that one is among them that counts
        )
        found += [(at, as_of) for at, as_of, cycle in newest if cycle not in aside][:1]
    return max(found)[1] if found else None


def _last_completed(
    connection: Connection, model: str, aside: frozenset[str], up_to: int
) -> CycleView | None:
    """The last cycle whose training came to a promotion or a rejection."""
    newest = connection.execute(
        select(CYCLES.c.cycle)
        .where(
            CYCLES.c.model == model,
            CYCLES.c.training_completed == 1,
            CYCLES.c.started_position < up_to,
        )
        .order_by(CYCLES.c.started_position.desc())
        .limit(1 + len(aside))
    ).scalars()
    cycle = next((each for each in newest if each not in aside), None)
    return None if cycle is None else get_cycle(connection, cycle)
