"""The rows that a model answered, read from the ledger: those of a window, and those of a place.

Entries are read in their order, zones and entries without a row of the window are passed over, and
what is asked for in another order is put into it in a scratch file, not in memory.
"""

from __future__ import annotations

import weakref
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from sqlalchemy import Connection

from app.database.engine import fetch
from app.database.scratch import scratch_file
from app.ledger.known_damage import refuse_to_lack
from app.ledger.payloads import PayloadsApart
from app.ledger.reading import entries_at
from app.ledger.streams import predictions_stream
from app.ledger.unreadable import STORED_COLUMNS, StoredRow, read_entry
from app.projections.row_values import in_ledger_order, names_at
from app.projections.zones import span_of, zones_with
from domain.blocks.ids import place_of
from domain.events.block_events import PredictionsMade
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade
from domain.events.row_cells import AnsweredRow, answered_rows
from domain.events.unreadable import Unreadable
from domain.identities import RowDigests, as_row_digests, row_digests
from domain.packed import Floats, Moments, Whole, moments_of

_TYPES: Final = (PredictionMade.type, PredictionsMade.type)
_IN_ZONE: Final = (  # made once: that takes longer than to run it. The text added to the stream's
    # name keeps SQLite, which has no statistics, from its index: what is asked for is a range.
    f'SELECT {STORED_COLUMNS} FROM entries WHERE "position" BETWEEN {{mark}} AND {{mark}}'  # noqa: S608 - ours
    " AND stream || '' = {mark} AND type IN ({mark}, {mark}) ORDER BY \"position\""
)
# SQLite takes the other columns from the row that has the greatest place.
_LATEST: Final = (
    "SELECT max(place), prediction, identity, event_time FROM answered"
    " WHERE place >= ? AND event_time >= ? GROUP BY identity ORDER BY "
)
_BY_PLACE: Final = f"{_LATEST} 1"
_BY_TIME: Final = f"{_LATEST} event_time, identity"
_BEYOND: Final = ":"  # behind every event time: it follows 9
_ROWS_AT_ONCE: Final = 1_000  # that are objects at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which predictions of a model are looked at."""

    start: str  # event time
    end: str  # event time, exclusive
    after: int = -1  # a position; none up to it
    up_to: int  # a position; none behind it


def answered_within(
    connection: Connection, model: str, reach: Reach, model_version: str | None = None
) -> Iterator[tuple[str, AnsweredRow]]:
    """The version that answered, and the row, of all that are within reach, in any order.

    `model_version`: of it alone.

    Raises:
        ReadModelUnfit: what is kept of a zone is no zone.
        StoredDamage: an entry is not what was written, and nobody accepted that.
    """
    zones = [
        zone
        for zone in zones_with(
            connection,
            model,
            start=reach.start,
            end=reach.end,
            after=reach.after,
            up_to=reach.up_to,
        )
        if model_version in (None, zone.model_version)
    ]
    for number in sorted({zone.zone for zone in zones}):
        first, last = span_of(number)
        ends = (max(first, reach.after + 1), min(last, reach.up_to))
        for version, entry in _entries_in(connection, model, *ends, reach, lacking=False):
            if model_version not in (None, version):
                continue
            for row in answered_rows(entry):
                if reach.start <= row.event_time < reach.end:
                    yield version, row


def count_answered(connection: Connection, model: str, *, after: int, up_to: int) -> int:
    """How many predictions of the model stand at positions in (`after`, `up_to`].

    Zones that lie between are not read, only those at both ends.
    """
    found = 0
    zones = zones_with(connection, model, start="", end=_BEYOND, after=after, up_to=up_to)
    for zone in zones:
        first, last = span_of(zone.zone)
        if first > after and last <= up_to:
            found += zone.rows
    for number in sorted({zone.zone for zone in zones}):
        first, last = span_of(number)
        if first <= after or last > up_to:
            ends = (max(first, after + 1), min(last, up_to))
            entries = _entries_in(connection, model, *ends, lacking=False)
            found += sum(1 for _, entry in entries for _ in answered_rows(entry))
    return found


def answered_in_zone(
    connection: Connection, model: str, zone: int, up_to: int
) -> Iterator[Recorded]:
    """The entries of a model's predictions in one zone of the ledger up to a position.

    For a fold, which goes on without what was damaged.
    """
    first, last = span_of(zone)
    for _, entry in _entries_in(connection, model, first, min(last, up_to), lacking=True):
        yield entry


def _entries_in(
    connection: Connection,
    model: str,
    first: int,
    last: int,
    reach: Reach | None = None,
    *,
    lacking: bool,
) -> Iterator[tuple[str, Recorded]]:
    """Who answered, and the entry, of a model's predictions from one position to another.

    Args:
        connection: what is asked.
        model: whose predictions.
        first, last: positions.
        reach: of entries of many only those whose times reach into it. Their rows are read last.
        lacking: whether who asks goes on without what was damaged.
    """
    statement = _IN_ZONE.format(mark="?" if connection.dialect.name == "sqlite" else "%s")
    asked = (first, last, predictions_stream(model), *_TYPES)
    rows = [*map(StoredRow._make, fetch(connection, statement, asked))]
    apart = PayloadsApart(connection, [row.position for row in rows])
    versions: dict[int, str] = {}  # position of an entry of many -> who answered
    for row in rows:
        entry = read_entry(connection, row, apart, _not_yet)
        event = entry.event
        if isinstance(event, PredictionMade):
            yield event.model_version, entry
        elif isinstance(event, PredictionsMade):
            if reach is None or (
                event.occurred_from < reach.end and event.occurred_until >= reach.start
            ):
                versions[entry.position] = event.model_version
        elif not lacking:
            refuse_to_lack(connection, [entry])
    for entry in entries_at(connection, versions):
        if not isinstance(entry.event, Unreadable):
            yield versions[entry.position], entry
        elif not lacking:
            refuse_to_lack(connection, [entry])


def _not_yet(position: int) -> None:
    """The rows of an entry are read when it is known whether they are asked for."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Answered:
    """Rows that were answered, 40 bytes each."""

    places: Whole  # see `Recorded.place`
    predictions: Floats  # target's unit
    row_digests: RowDigests
    event_times: Moments


class LatestRows:
    """Rows of one model as they come; of each the prediction with the greatest place counts.

    Their file is gone when nobody holds them any more.
    """

    def __init__(self, model: str) -> None:
        self.rows = 0
        self._model = model
        self._file = scratch_file(
            "CREATE TABLE answered (place INTEGER, identity TEXT, event_time TEXT, prediction REAL)"
        )
        weakref.finalize(self, self._file.close)
        self._waiting: list[AnsweredRow] = []

    def add(self, row: AnsweredRow) -> None:
        """One row more."""
        self.rows += 1
        self._waiting.append(row)
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._write()

    def latest(self, *, by_time: bool, after: int = -1, start: str = "") -> Answered:
        """Them, in order of place, or of event time and identity.

        Args:
            by_time: the latter.
            after: a position; of those alone that stand behind it,
            start: and have an event time from this one on.
        """
        self._write()
        places, predictions = array("q"), array("d")
        digests, moments = bytearray(), bytearray()
        asked = (place_of(after + 1, 0), start)
        found = self._file.execute(_BY_TIME if by_time else _BY_PLACE, asked)
        while page := found.fetchmany(_ROWS_AT_ONCE):
            at, predicted, identities, times = zip(*page, strict=True)
            places.extend(at)
            predictions.extend(predicted)
            digests += row_digests(self._model, identities).tobytes()
            moments += moments_of(times).tobytes()
        return Answered(
            places=np.frombuffer(places, np.int64),
            predictions=np.frombuffer(predictions, np.float64),
            row_digests=as_row_digests(digests),
            event_times=np.frombuffer(moments, "datetime64[us]"),
        )

    def _write(self) -> None:
        self._file.executemany("INSERT INTO answered VALUES (?, ?, ?, ?)", self._waiting)
        self._waiting = []


def named_rows(connection: Connection, places: Whole) -> Iterator[list[tuple[str, str]]]:
    """Identity and event time of the predictions at these places, in their order, some at a time.

    Raises:
        ReadModelUnfit, StoredDamage: as `names_at`.
    """
    order, _ = in_ledger_order(places)
    rows = names_at(connection, places[order])
    if bool(np.all(order[1:] > order[:-1])):
        yield from _pages(rows)
        return
    made = "CREATE TABLE named (at INTEGER PRIMARY KEY, identity TEXT, event_time TEXT)"
    with closing(scratch_file(made)) as file:
        at = iter(order.tolist())
        for page in _pages(rows):
            values = ((next(at), *row) for row in page)
            file.executemany(
                "INSERT INTO named (at, identity, event_time) VALUES (?, ?, ?)", values
            )
        yield from _pages(file.execute("SELECT identity, event_time FROM named ORDER BY at"))


def _pages(rows: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    given = iter(rows)
    while page := list(islice(given, _ROWS_AT_ONCE)):
        yield page
