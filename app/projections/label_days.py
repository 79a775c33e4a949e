"""How many of the rows that a version predicted have no label yet, counted by day.

A row counts once for each version that predicted it, on the day (UTC) of its event time as that
version's latest prediction of it says. So whoever asks adds up days, and reads no rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import Connection, bindparam, select

from app.database.engine import driver_name, execute
from app.projections.read_model import ROWS_METADATA, table_of, unfit
from domain.canonical import INTEGER_MAX
from domain.times import format_time, parse_time

_DAY: Final = len("1976-07-01")
_MIDNIGHT: Final = "T00:00:00.000000Z"
_DAYS_PER_STATEMENT_MAX: Final = 64
_ADD: Final = (
    'INSERT INTO {table} AS there (model, model_version, day, "rows", unlabelled) VALUES {values}'
    " ON CONFLICT (model, model_version, day) DO UPDATE SET"
    ' "rows" = there."rows" + excluded."rows",'
    " unlabelled = there.unlabelled + excluded.unlabelled"
)
_EMPTIED: Final = (
    "DELETE FROM {table} WHERE model = {mark} AND model_version = {mark} AND day = {mark}"
    ' AND "rows" = 0'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDay:
    """The rows of one day that one version predicted; a day without any is left out."""

    model: str
    model_version: str
    day: str  # of the rows' event time, UTC: '1976-07-01'
    rows: int
    unlabelled: int  # of these, without a label


LABEL_DAYS: Final = table_of(
    LabelDay, "label_days", number=2, metadata=ROWS_METADATA, key=("model", "model_version", "day")
)


_DAYS_BETWEEN: Final = select(LABEL_DAYS.c["rows"], LABEL_DAYS.c.unlabelled).where(
    LABEL_DAYS.c.model == bindparam("of"),
    LABEL_DAYS.c.model_version == bindparam("by"),
    LABEL_DAYS.c.day >= bindparam("first"),
    LABEL_DAYS.c.day < bindparam("end"),
)  # made once: that takes longer than to run it

ModelVersion: TypeAlias = tuple[str, str]  # model, and which of its versions


class Standing(NamedTuple):
    """How some rows stand, by their digests."""

    labelled: Set[bytes]  # those that have a label
    days: Mapping[ModelVersion, Mapping[bytes, str]]  # the day on which a row counts for a version


def day_of(event_time: str) -> str:
    """The day of a time as text: as `LabelDay` has it."""
    return event_time[:_DAY]


def rows_in_whole_days(
    connection: Connection, model: str, *, model_version: str, start: str, before: str
) -> tuple[int, int]:
    """Rows that `model_version` predicted, of the days that lie whole within [start, before).

    All of them, and those without a label.
    """
    first = day_of(start)
    if not start.endswith(_MIDNIGHT):
        first = day_of(format_time(parse_time(first + _MIDNIGHT) + timedelta(days=1)))
    asked = {"of": model, "by": model_version, "first": first, "end": day_of(before)}
    days = connection.execute(_DAYS_BETWEEN, asked).all()
    return _sum("rows", [day[0] for day in days]), _sum("unlabelled", [day[1] for day in days])


def _sum(name: str, counts: Sequence[object]) -> int:
    """Their sum. Raises ReadModelUnfit: one is no count."""
    found = 0
    for count in counts:
        if not isinstance(count, int) or not 0 <= count <= INTEGER_MAX:
            raise unfit(name, "a LabelDay")
        found += count
    return found


def recount(connection: Connection, stood: Standing, stands: Standing) -> None:
    """Let the days say how rows stand, where they said how they stood."""
    rows: Counter[tuple[str, str, str]] = Counter()
    unlabelled: Counter[tuple[str, str, str]] = Counter()
    for sign, standing in ((-1, stood), (1, stands)):
        for version, days in standing.days.items():
            for day, count in Counter(days.values()).items():
                rows[*version, day] += sign * count
            late = (day for digest, day in days.items() if digest not in standing.labelled)
            for day, count in Counter(late).items():
                unlabelled[*version, day] += sign * count
    changes = [(*key, count, unlabelled[key]) for key, count in rows.items()]
    _add(connection, [each for each in changes if each[3:] != (0, 0)])


def _add(connection: Connection, changes: list[tuple[str, str, str, int, int]]) -> None:
    sqlite = connection.dialect.name == "sqlite"
    for start in range(0, len(changes), _DAYS_PER_STATEMENT_MAX):
        some = changes[start : start + _DAYS_PER_STATEMENT_MAX]
        execute(connection, _addition(sqlite, len(some)), tuple(chain.from_iterable(some)))
    table, mark = _written(sqlite)
    for *key, rows, _ in changes:
        if rows < 0:
            execute(connection, _EMPTIED.format(table=table, mark=mark), tuple(key))


@cache
def _addition(sqlite: bool, days: int) -> str:
    table, mark = _written(sqlite)
    one = f"({', '.join([mark] * len(LABEL_DAYS.columns))})"
    return _ADD.format(table=table, values=", ".join([one] * days))


def _written(sqlite: bool) -> tuple[str, str]:
    """The table's name and the mark of a value, as the driver wants them."""
    return (LABEL_DAYS.name, "?") if sqlite else (driver_name(LABEL_DAYS, "postgresql"), "%s")
