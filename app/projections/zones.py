"""Where in the ledger the predictions of a span of event time stand: one line for each 512 entries.

A window is read from the ledger. What stands here tells which entries cannot have a row of it, and
grows by a line for as many entries as a zone has, however many rows they hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from sqlalchemy import Connection, delete, select

from app.database.engine import driver_name, execute, insert_rows
from app.projections.predictions import Predictions
from app.projections.read_model import ROWS_METADATA, table_of, views_of
from domain.blocks.ids import place_of, position_of

ZONE_ENTRIES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The predictions of one version in one zone of the ledger."""

    model: str
    model_version: str
    zone: int  # position // 512
    first: str  # the least event time of their rows,
    last: str  # and the greatest
    rows: int  # how many there are


ZONES: Final = table_of(
    Zone, "zones", number=1, metadata=ROWS_METADATA, key=("model", "model_version", "zone")
)
_KEPT: Final = (
    'INSERT INTO {table} AS there (model, model_version, zone, "first", "last", "rows")'
    " VALUES ({marks})"
    " ON CONFLICT (model, model_version, zone) DO UPDATE SET"
    ' "first" = {least}(there."first", excluded."first"),'
    ' "last" = {greatest}(there."last", excluded."last"),'
    ' "rows" = there."rows" + excluded."rows"'
)


def zone_of(position: int) -> int:
    """The zone in which an entry stands."""
    return position // ZONE_ENTRIES


def span_of(zone: int) -> tuple[int, int]:
    """The first and the last position of a zone.

    >>> zone_of(span_of(7)[0]), zone_of(span_of(7)[1]), zone_of(span_of(7)[1] + 1)
    (7, 7, 8)
    """
    return zone * ZONE_ENTRIES, (zone + 1) * ZONE_ENTRIES - 1


def zones_with(
    connection: Connection, model: str, *, start: str, end: str, after: int, up_to: int
) -> list[Zone]:
    """The zones of entries in (`after`, `up_to`] that may have a row with event time in
    [start, end), in order.

    Raises:
        ReadModelUnfit: a line is none.
    """
    zones = ZONES.c
    rows = connection.execute(
        select(ZONES)
        .where(
            zones.model == model,
            zones["last"] >= start,
            zones["first"] < end,
            zones.zone >= zone_of(after + 1),
            zones.zone <= zone_of(up_to),
        )
        .order_by(zones.zone, zones.model_version)
    )
    return views_of(Zone, rows)


def add_to_zones(connection: Connection, made: Iterable[Predictions]) -> None:
    """These predictions were made."""
    statement = _statement(connection.dialect.name)
    for zone in _zones_of(made):
        execute(connection, statement, zone)


def write_zone(connection: Connection, model: str, zone: int, made: Iterable[Predictions]) -> None:
    """The zone holds these predictions, and no others of the model."""
    connection.execute(delete(ZONES).where(ZONES.c.model == model, ZONES.c.zone == zone))
    insert_rows(connection, ZONES, _zones_of(made))


def _zones_of(made: Iterable[Predictions]) -> list[tuple[str, str, int, str, str, int]]:
    times: dict[tuple[str, str, int], list[str]] = {}
    for each in made:
        for zone, rows in _by_zone(each.places):
            key = (each.model, each.model_version, zone)
            times.setdefault(key, []).extend(each.event_times[rows])
    return [(*key, min(those), max(those), len(those)) for key, those in times.items()]


def _by_zone(places: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """The zones of these places, which ascend, and which of them lie in each."""
    begin = 0
    while begin < len(places):
        zone = zone_of(position_of(places[begin]))
        end = bisect_left(places, place_of(span_of(zone)[1] + 1, 0), begin)
        yield zone, slice(begin, end)
        begin = end


@cache
def _statement(dialect: str) -> str:
    sqlite = dialect == "sqlite"
    return _KEPT.format(
        table=driver_name(ZONES, dialect),
        marks=", ".join(["?" if sqlite else "%s"] * len(ZONES.columns)),
        least="min" if sqlite else "least",
        greatest="max" if sqlite else "greatest",
    )
