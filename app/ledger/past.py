"""What a projection may look at beside its table: what the ledger held before some position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, bindparam, select

from app.database.engine import fetch
from app.database.many_values import among, among_values
from app.ledger.blocks import places_of
from app.ledger.known import recorded_rows
from app.ledger.reading import entries_at, read_back
from app.ledger.tables import ENTRIES
from app.ledger.unreadable import STORED, STORED_COLUMNS
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade
from domain.events.expansion import rows_of
from domain.events.row_cells import names_of
from domain.events.unreadable import Unreadable

E = TypeVar("E")
_NEWEST: Final = (  # made once: that takes longer than to run it
    select(*STORED)
    .where(
        ENTRIES.c.stream == bindparam("of_stream"),
        ENTRIES.c.type == bindparam("of_type"),
        ENTRIES.c.position < bindparam("before"),
    )
    .order_by(ENTRIES.c.stream_version.desc())
    .limit(1)
)
_ALONE: Final = (  # by the type beside the entry: so that entries of many are not read here
    f"SELECT {STORED_COLUMNS} FROM entries"  # noqa: S608 - our own names
    f" WHERE type = '{PredictionMade.type}' AND id {{}}"
)


class PredictionNamed(NamedTuple):
    """Which row a prediction is of, and where it stands."""

    place: int  # see `Recorded.place`
    identity: str
    event_time: str  # of the row


class Past:
    """What the ledger held before some position: what a projection may look at beside its table.

    It never changes, so it is the same whenever an entry is folded; but for data that was erased,
    which is gone from wherever it had been folded into, and for what was damaged since.

    Args:
        connection: that it is read on; who looks at more must not look behind the position.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._latest: dict[tuple[str, type[Any], int], Any] = {}

    def newest_first(self, stream: str, kind: type[Any], before: int) -> Iterator[Recorded]:
        """The entries of one type in a stream with a position less than `before`."""
        asked = {"of_stream": stream, "of_type": kind.type}
        while rows := self.connection.execute(_NEWEST, {**asked, "before": before}).all():
            (entry,) = read_back(self.connection, rows)
            if not isinstance(entry.event, Unreadable):
                yield entry
            before = entry.position

    def latest(self, stream: str, kind: type[E], before: int) -> E | None:
        """The last event of one type in a stream before a position; None when there is none.

        Several read models ask the same of one entry.
        """
        asked = (stream, kind, before)
        if asked not in self._latest:
            entry = next(self.newest_first(stream, kind, before), None)
            self._latest[asked] = None if entry is None else entry.event
        event = self._latest[asked]
        return event if isinstance(event, kind) else None

    def with_ids(self, ids: Sequence[str]) -> dict[str, Recorded]:
        """The plain events with those of `ids` that are recorded, wherever they stand."""
        return recorded_rows(self.connection, ids)

    def predictions_named(self, ids: Sequence[str]) -> dict[str, PredictionNamed]:
        """The predictions with those of `ids` that are recorded, and are not erased."""
        found = self._alone(ids)
        at: dict[int, dict[int, str]] = {}  # position -> row -> id
        places = places_of(self.connection, [id for id in ids if id not in found])
        for id, (position, row) in places.items():
            at.setdefault(position, {})[row] = id
        for entry in entries_at(self.connection, sorted(at)):
            asked = at[entry.position]
            rows = sorted(row for row in asked if row < entry.rows)
            named = names_of(entry, rows) if entry.rows_apart is not None else None
            if named is None:  # some are erased, or no predictions, or nobody can read them
                asked_for = [asked[row] for row in rows]
                found |= _named_one_by_one(zip(asked_for, rows_of(entry, rows), strict=False))
                continue
            for row, (identity, time) in zip(rows, named, strict=True):
                found[asked[row]] = PredictionNamed(entry.place + row, identity, time)
        return found

    def _alone(self, ids: Sequence[str]) -> dict[str, PredictionNamed]:
        """The predictions with those of `ids` that stand in entries of their own."""
        statement = _ALONE.format(among(self.connection.dialect.name))
        rows = fetch(self.connection, statement, among_values(self.connection, ids))
        return {
            entry.id: PredictionNamed(entry.place, entry.event.identity, entry.occurred_at)
            for entry in read_back(self.connection, rows)
            if isinstance(entry.event, PredictionMade)
        }


def _named_one_by_one(told: Iterable[tuple[str, Recorded]]) -> dict[str, PredictionNamed]:
    return {
        id: PredictionNamed(each.place, each.event.identity, each.occurred_at)
        for id, each in told
        if isinstance(each.event, PredictionMade)
    }
