"""What a projection may look at beside its table: what the ledger held before some position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, bindparam, select

from app.ledger.known import recorded_rows
from app.ledger.reading import read_back
from app.ledger.tables import ENTRIES
from app.ledger.unreadable import STORED
from domain.events.envelope import Recorded
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
