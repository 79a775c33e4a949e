"""The cycles: where each stands, how it ended, and what every step of it left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import groupby
from typing import Any, Final, Literal, cast

import msgspec
import orjson
from sqlalchemy import Connection, bindparam, func, select, update

from app.database.engine import driver_name, fetch, insert_rows
from app.database.many_values import among, among_values
from app.ledger.past import Past
from app.ledger.streams import cycle_of_stream
from app.projections.read_model import json_text, table_of, view_of, views_of, views_of_rows
from domain.canonical import INTEGER_MAX
from domain.errors import UnknownThing
from domain.events.cycle_events import (
    CYCLE_EVENTS,
    AttemptStarted,
    CandidateCompared,
    CandidateEvaluated,
    CycleFailed,
    CycleStarted,
    DataMerged,
    Decided,
    DriftMeasured,
    HealthReported,
    NotDecided,
    ParityChecked,
    PromotionSettled,
)
from domain.events.envelope import Recorded, event_data
from domain.events.verdicts import NOT_DECIDED

_CYCLES_AT_ONCE: Final = 10  # that are objects: some 200 KB each


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleView:
    """One cycle as recorded."""

    cycle: str
    model: str
    number: int
    as_of: str
    status: Literal["open", "ended"]
    outcome: str | None  # of the decision; NOT_DECIDED when the evaluations disagreed
    conclusion: str | None  # how it ended; None until then
    training_completed: bool  # promoted or rejected: it consumed its samples
    promoted: bool  # its candidate serves
    champion: str | None  # whom it judges
    measured: bool  # drift was, for that one
    attempts: int
    started_at: str  # recorded_at of its first entry
    started_position: int
    ended_at: str | None
    ended_position: int | None
    set_aside_by: str | None  # the later cycle that set it aside; None: it counts
    set_aside_reason: str | None  # why, as that one recorded it
    state: dict[str, Any]  # event type -> the data of the last event of that type


CYCLES: Final = table_of(
    CycleView,
    "cycles",
    number=5,
    key="cycle",
    indexes=[
        ("model", "number"),
        ("model", "as_of"),
        ("status", "model", "number"),
        ("model", "set_aside_by"),
        ("model", "training_completed", "started_position"),
    ],
)
# That a later cycle set it aside, so that an index of few serves: no id sorts before this.
ASIDE: Final = CYCLES.c.set_aside_by > ""


def get_cycle(connection: Connection, cycle: str) -> CycleView:
    """The cycle with this id. Raises UnknownThing."""
    row = connection.execute(select(CYCLES).where(CYCLES.c.cycle == cycle)).one_or_none()
    if row is None:
        raise UnknownThing.cycle(cycle)
    return view_of(CycleView, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleKept:
    """One cycle with its steps as they are kept: for whoever tells many, and read most before."""

    cycle: str
    as_of: str
    set_aside_by: str | None
    set_aside_reason: str | None
    outcome: str | None
    started_position: int
    ended_at: str | None
    ended_position: int | None
    state: str  # that of `CycleView` as canonical JSON


_KEPT_NAMES: Final = tuple(field.name for field in fields(CycleKept))
_KEPT: Final = [CYCLES.c[name] for name in _KEPT_NAMES]


def cycles_kept(connection: Connection, cycles: Collection[str]) -> dict[str, CycleKept]:
    """The cycles with these ids, by id. Raises UnknownThing: there is none with one of them."""
    wanted = sorted(set(cycles))
    found = {each.cycle: each for each in _kept_with(connection, wanted)}
    for cycle in wanted:
        if cycle not in found:
            raise UnknownThing.cycle(cycle)
    return found


def _kept_with(connection: Connection, ids: list[str]) -> list[CycleKept]:
    """In the driver's own words: a page of a hundred is asked for again and again."""
    if not ids:
        return []
    statement = _statement_with_ids(connection.dialect.name)
    rows = fetch(connection, statement, among_values(connection, ids))
    return views_of_rows(CycleKept, _KEPT_NAMES, rows)


@cache
def _statement_with_ids(dialect: str) -> str:
    columns = ", ".join(f'"{name}"' for name in _KEPT_NAMES)
    table = driver_name(CYCLES, dialect)
    return f"SELECT {columns} FROM {table} WHERE cycle {among(dialect)}"  # noqa: S608 - our own names


def newest_cycles_kept(connection: Connection, model: str, *, limit: int) -> list[CycleKept]:
    """The model's newest cycles, newest first, at most `limit`."""
    rows = connection.execute(
        select(*_KEPT).where(CYCLES.c.model == model).order_by(CYCLES.c.number.desc()).limit(limit)
    )
    return views_of(CycleKept, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """That a later cycle set one aside."""

    by: str
    reason: str | None


def set_aside_among(connection: Connection, cycles: Collection[str]) -> dict[str, SetAside]:
    """Those of the `cycles` that a later one has set aside, by id."""
    if not cycles:
        return {}
    rows = connection.execute(
        select(CYCLES.c.cycle, CYCLES.c.set_aside_by, CYCLES.c.set_aside_reason).where(
            CYCLES.c.cycle.in_(sorted(cycles)), CYCLES.c.set_aside_by.is_not(None)
        )
    )
    return {cycle: SetAside(by=by, reason=reason) for cycle, by, reason in rows}


_NEWEST_FIRST: Final = (  # made once: that takes longer than to run it
    select(CYCLES)
    .where(CYCLES.c.model == bindparam("of"), CYCLES.c.number < bindparam("below"))
    .order_by(CYCLES.c.number.desc())
    .limit(bindparam("most"))
)


def list_cycles(
    connection: Connection, model: str, *, before_number: int | None = None, limit: int = 500
) -> list[CycleView]:
    """The model's cycles, newest first, at most `limit`, with a number below `before_number`."""
    below = INTEGER_MAX if before_number is None else before_number
    asked = {"of": model, "below": below, "most": limit}
    return views_of(CycleView, connection.execute(_NEWEST_FIRST, asked))


def cycles_since(
    connection: Connection, model: str, *, since: int, before: int
) -> Iterator[CycleView]:
    """The model's cycles that started before the position `before`, oldest first, from the last
    that started before the position `since` on: only some are held at a time, for each says much.
    """
    started = CYCLES.c.started_position
    number, mine = CYCLES.c.number, CYCLES.c.model == model
    last = select(number).where(mine, started < min(since, before)).order_by(number.desc()).limit(1)
    first = connection.execute(last).scalar()
    query = select(CYCLES).where(mine, started < before).order_by(number).limit(_CYCLES_AT_ONCE)
    reached = -1 if first is None else int(first) - 1
    while page := views_of(CycleView, connection.execute(query.where(number > reached))):
        yield from page
        reached = page[-1].number


def trainings_until(connection: Connection, model: str, *, day: str, before_number: int) -> int:
    """How many of the model's cycles with a number below `before_number` and an as_of on `day`
    ("1977-01-01") merged their data to train."""
    rows = connection.execute(
        select(CYCLES.c.state).where(
            CYCLES.c.model == model,
            CYCLES.c.number < before_number,
            CYCLES.c.as_of.startswith(day, autoescape=True),
        )
    )
    return sum(DataMerged.type in orjson.loads(state) for (state,) in rows)


def completed_trainings(connection: Connection, model: str, *, after: int) -> int:
    """How many trainings of the model came to a promotion or a rejection, one a cycle.

    Those of cycles that started after the position `after`; failed trainings do not count.
    """
    return connection.execute(
        select(func.count()).where(
            CYCLES.c.model == model,
            CYCLES.c.started_position > after,
            CYCLES.c.training_completed == 1,
        )
    ).scalar_one()


_NEWEST_MEASURED: Final = (  # made once: that takes longer than to run it
    select(CYCLES)
    .where(
        CYCLES.c.model == bindparam("of"),
        CYCLES.c.number > bindparam("after_number"),
        CYCLES.c.champion.is_not_distinct_from(bindparam("by")),
        CYCLES.c.measured == 1,
        CYCLES.c.set_aside_by.is_(None),
    )
    .order_by(CYCLES.c.number.desc())
    .limit(1)
)
_UNFINISHED: Final = (
    select(CYCLES)
    .where(CYCLES.c.model == bindparam("of"), CYCLES.c.status == "open")
    .order_by(CYCLES.c.number)
    .limit(1)
)


def newest_measured(
    connection: Connection, model: str, champion: str | None, *, after_number: int
) -> CycleView | None:
    """The newest cycle that counts, above a number, and measured drift for `champion`."""
    asked = {"of": model, "after_number": after_number, "by": champion}
    row = connection.execute(_NEWEST_MEASURED, asked).one_or_none()
    return None if row is None else view_of(CycleView, row)


def unfinished_cycle(connection: Connection, model: str) -> CycleView | None:
    """The model's cycle that has started and not ended; None when there is none."""
    row = connection.execute(_UNFINISHED, {"of": model}).one_or_none()
    return None if row is None else view_of(CycleView, row)


def unfinished_cycles(connection: Connection) -> list[CycleView]:
    """Every cycle that has started and not ended, oldest first."""
    rows = connection.execute(
        select(CYCLES).where(CYCLES.c.status == "open").order_by(CYCLES.c.started_position)
    )
    return views_of(CycleView, rows)


def cycle_of(entry: Recorded) -> str:
    """The id of the cycle whose stream the entry stands in."""
    return cycle_of_stream(entry.stream)


def completes_training(entry: Recorded) -> bool | None:
    """True: the candidate is promoted; False: it is rejected; None: neither follows from it."""
    match entry.event:
        case ParityChecked() | CandidateEvaluated() | CandidateCompared():
            return None if entry.event.passed else False
        case PromotionSettled():
            return entry.event.promoted
        case _:
            return None


_MINE: Final = CYCLES.c.cycle == bindparam("of")
_STATE: Final = select(CYCLES.c.state).where(_MINE)
_CHANGE: Final = update(CYCLES).where(_MINE)
# What each step left stays as it is written: there may be much of it.
_AS_KEPT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_IN_ORDER: Final = msgspec.json.Encoder(order="sorted")


def _started(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(CycleStarted, entry.event)
        if connection.execute(_STATE, {"of": event.cycle}).first():
            continue  # no version starts one twice: somebody added that by hand
        row = {
            "cycle": event.cycle,
            "model": event.model,
            "number": event.number,
            "as_of": event.as_of,
            "status": "open",
            "outcome": None,
            "conclusion": None,
            "training_completed": 0,
            "promoted": 0,
            "champion": event.champion,
            "measured": 0,
            "attempts": 0,
            "started_at": entry.recorded_at,
            "started_position": entry.position,
            "ended_at": None,
            "ended_position": None,
            "set_aside_by": None,
            "set_aside_reason": None,
            "state": json_text({event.type: event_data(event)}),
        }
        insert_rows(connection, CYCLES, [tuple(row[c.name] for c in CYCLES.columns)])
        if event.sets_aside:
            aside = {"set_aside_by": event.cycle, "set_aside_reason": event.reason}
            counted = CYCLES.c.cycle.in_(event.sets_aside) & CYCLES.c.set_aside_by.is_(None)
            connection.execute(update(CYCLES).where(counted).values(aside))


def _went_on(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for of, steps in groupby(entries, key=cycle_of):
        before = connection.execute(_STATE, {"of": of}).scalar_one_or_none()
        if before is None:
            continue  # steps of a cycle nobody started: history happened, nothing is shown of it
        state: dict[str, msgspec.Raw] = _AS_KEPT.decode(before)
        changed: dict[str, object] = {}
        for entry in steps:
            kept = json_text(event_data(entry.event))
            state[entry.event.type] = msgspec.Raw(kept.encode())
            changed |= _changed(entry)
        changed["state"] = _IN_ORDER.encode(state).decode()
        connection.execute(_CHANGE, {"of": of, **changed})


def _changed(entry: Recorded) -> dict[str, object]:
    """What the event changes beside the state."""
    ended = {"status": "ended", "ended_at": entry.recorded_at, "ended_position": entry.position}
    completed = completes_training(entry)
    if completed is not None:
        return {"training_completed": 1, "promoted": int(completed)}
    match entry.event:
        case DriftMeasured():
            return {"measured": int(entry.event.report is not None)}
        case AttemptStarted():
            return {"attempts": entry.event.attempt}
        case Decided():
            return {"outcome": entry.event.outcome}
        case NotDecided():
            return {"outcome": NOT_DECIDED}
        case HealthReported():
            return ended | {"conclusion": entry.event.conclusion}
        case CycleFailed():
            return ended | {"conclusion": "failed"}
        case _:
            return {}


APPLY: Final = {event: _started if event is CycleStarted else _went_on for event in CYCLE_EVENTS}
