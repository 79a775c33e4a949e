"""The ledger: append and read. One code path above both databases.

Positions are dense from 0, and order = visibility = position: the writer takes the ledger's lock,
reads the head, inserts, projects and commits, and nothing is acknowledged before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, select

from app.cause import Cause
from app.clock import monotonic_seconds, now
from app.database.engine import busy_is_refused
from app.database.locks import begin_beside, take_lock
from app.ledger.batch import Artefact, PreparedAppend, check_artefact
from app.ledger.catching_up import CatchingUp, Progress
from app.ledger.commit import Project, RowsKnown
from app.ledger.joining import Apart
from app.ledger.known import Known, first_answer, known_of_clients
from app.ledger.met_damage import OPTION, MetDamage
from app.ledger.new_events import NewEvent, StreamAppend
from app.ledger.preparing import prepare
from app.ledger.reading import (
    StreamHistory,
    head,
    read_entries,
    read_rows,
    read_stream,
    stored_artefact,
)
from app.ledger.rows_apart import NoRows, RowsApart, WithRows, are_enough, mending, needed_until
from app.ledger.stored_bytes import whole
from app.ledger.tables import ENTRIES
from app.ledger.writer import QUEUE_ROWS_MAX, Writer
from app.ledger.wrong_rows import FoldingAnew
from domain.errors import LedgerBusy, LedgerDamaged, LedgerUnwritable, UnknownThing
from domain.events.envelope import Recorded
from domain.events.events import LedgerCreated
from domain.events.unreadable import instead_of

__all__ = [
    "Artefact",
    "Connection",
    "Ledger",
    "NewEvent",
    "StreamAppend",
    "StreamHistory",
    "stored_artefact",
]

_PAGE_ENTRIES: Final = 500
_TRIES: Final = 3  # to find read models as they were a moment ago, while others append


class Ledger:
    """Append and read. Safe to share between threads.

    Args:
        engine: from `create_database`, already migrated.
        project: folds new entries into the read models, inside the append's transaction, and
            what others appended without them.
        busy_timeout_seconds: how long an append waits for the ledger's lock.
        queue_rows_max: rows that may wait for the writer; see `Writer`.
    """

    def __init__(
        self,
        engine: Engine,
        project: Project,
        *,
        busy_timeout_seconds: float,
        queue_rows_max: int = QUEUE_ROWS_MAX,
    ) -> None:
        self.met = MetDamage()
        self.engine = engine.execution_options(**{OPTION: self.met})  # what its readers pass over
        self.project = project
        self.busy_timeout_seconds = busy_timeout_seconds
        self.rows: RowsApart = NoRows()  # `open_ledger` gives it those of this version
        self.unwritable: str | None = None  # why the database took not even the last write
        self._writing = threading.Lock()  # threads of this process queue here, not in the database
        anew = FoldingAnew()
        self._catching_up = CatchingUp(
            project, self._writing_until, self._beside, self.snapshot, busy_timeout_seconds, anew
        )
        # How the writer puts right what somebody changed; that of `open_ledger` drops nothing.
        self.put_right: Callable[[], object] = self.fold_anew
        self._writer = Writer(
            self._writing_until,
            project,
            self.catch_up,
            self._put_right,
            anew=anew,
            wait_seconds=busy_timeout_seconds,
            queue_max=queue_rows_max,
        )

    def append(
        self,
        appends: Sequence[StreamAppend],
        cause: Cause,
        *,
        recorded_at: str | None = None,
        artefacts: Sequence[Artefact] = (),
        check: Callable[[Connection], None] | None = None,
    ) -> tuple[Recorded, ...]:
        """Append to several streams, all or nothing; the entries, in the order they were given.

        An event whose id and request digest are in the ledger already comes back as it was
        recorded, and nothing of it is appended. Of `NewRows` the entry that they share comes for
        each of them, and what is known as its own event. `check` runs under the lock, after the
        artefacts and before the events, when there is anything to append; what it raises undoes
        everything.

        Raises:
            VersionConflict: a stream is not at its expected version.
            IdempotencyConflict: an id was used before with another request.
            LedgerBusy: the lock did not come free in time.
            NotCanonical: an event holds what JSON cannot.
            LedgerDamaged: an artefact is not what its digest says.
        """
        apart = Apart(appends)
        while True:
            prepared = self._prepared(appends, cause, recorded_at, artefacts, check, apart.ids)
            try:
                return self._writer.append(prepared)
            except RowsKnown as known:
                apart.add(known.ids)

    async def append_soon(
        self, appends: Sequence[StreamAppend], cause: Cause
    ) -> tuple[Recorded, ...]:
        """As `append`, for an event loop, which goes on while the commit is awaited."""
        apart = Apart(appends)
        while True:
            prepared = self._prepared(appends, cause, None, (), None, apart.ids)
            try:
                return await self._writer.append_soon(prepared)
            except RowsKnown as known:
                apart.add(known.ids)

    def _prepared(
        self,
        appends: Sequence[StreamAppend],
        cause: Cause,
        recorded_at: str | None,
        artefacts: Sequence[Artefact],
        check: Callable[[Connection], None] | None,
        apart: Collection[str],
    ) -> PreparedAppend:
        for artefact in artefacts:
            check_artefact(artefact)
        streams = prepare(appends, cause, recorded_at=recorded_at or now(), apart=apart)
        return PreparedAppend(streams, tuple(artefacts), check)

    @contextmanager
    def writing(self, *, with_rows: bool = False) -> Iterator[Connection]:
        """A transaction that holds the ledger's lock; committed at the end, undone on an error.

        Read models hold every entry there is. What is missing in them is folded before.

        Args:
            with_rows: whether read models of rows must hold every entry, too.

        Raises:
            LedgerBusy: the lock did not come free in time.
        """
        ends = monotonic_seconds() + self.busy_timeout_seconds
        while True:
            with self._writing_until(monotonic_seconds() + self.busy_timeout_seconds) as connection:
                lacks_rows = with_rows and self.rows.folded(connection) < head(connection)
                behind = self.project.is_behind(connection)
                if behind:
                    folded, there = self.project.catch_up(connection)
                    behind = folded < there
                if not behind and not lacks_rows:
                    yield connection
                    return
            if lacks_rows:  # they are folded in transactions of their own; others append meanwhile
                self.rows.catch_up(within=ends - monotonic_seconds())
            if behind:
                self.catch_up()  # a page was not all: others append between the pages

    def catch_up(self, progress: Progress = lambda done, of: None) -> None:
        """Fold what is missing in the read models, see `CatchingUp.catch_up`."""
        self._catching_up.catch_up(progress)

    def fold_anew(self, progress: Progress = lambda done, of: None) -> None:
        """Drop the read models and fold them from the first entry on. Raises as `catch_up`."""
        self._catching_up.fold_anew(progress)

    def _put_right(self) -> None:
        self.put_right()

    @contextmanager
    def _writing_until(self, deadline: float) -> Iterator[Connection]:
        seconds = self.busy_timeout_seconds
        if not self._writing.acquire(timeout=max(0.0, deadline - monotonic_seconds())):
            raise LedgerBusy(
                f"other appends of this process took more than {seconds:g} s; nothing was kept. "
                "Try again."
            )
        try:
            with self._connected() as connection:
                take_lock(connection, max(0.0, deadline - monotonic_seconds()))
                yield connection
                connection.commit()
            self.unwritable = None
        except LedgerUnwritable as error:
            self.unwritable = error.message
            raise
        finally:
            self._writing.release()

    @contextmanager
    def connect(self, *, with_rows: WithRows = False) -> Iterator[Connection]:
        """A connection to read with: everything read inside sees one moment of the ledger.

        Read models hold every entry there is at that moment; those of rows may lack the last ones.

        Args:
            with_rows: for who must see what was just written: whether they hold every entry that
                there is by now, or every one of some streams; or, for who decides, every one up to
                a position, which is waited for.

        Raises:
            LedgerBusy: no connection came free, the database is out of reach, or others appended
                between each catching up and the look at what came of it; or rows are not folded
                in time.
        """
        may_lack_rows = False
        rows_until: int | None = None
        for _ in range(_TRIES):
            with self.snapshot() as connection:
                behind = self.project.is_behind(connection)
                last = head(connection)
                if rows_until is None:  # a first page there must be, or there are no tables
                    rows_until = needed_until(connection, self.rows, with_rows)
                folded = self.rows.folded(connection)  # beyond the last entry: of another ledger
                lacks_rows = not may_lack_rows and not rows_until <= folded <= last
                if not behind and not lacks_rows:
                    yield connection
                    return
            if behind:
                self.catch_up()
            if lacks_rows:
                patience = None if type(with_rows) is int else self.busy_timeout_seconds
                try:
                    self.rows.catch_up(rows_until, within=patience)
                except (LedgerBusy, LedgerDamaged):
                    if not are_enough(with_rows) or folded < min(self.rows.least, last):
                        raise  # or there are no tables to answer from
                    may_lack_rows = True  # they answer as of the entry up to which they are folded
        raise LedgerBusy(
            "processes of another version append faster than the read models of this one are "
            f"folded: {_TRIES} times they lacked an entry. Try again, or end the other version."
        )

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """As `connect`, for who looks at no read model, or at how far they are."""
        with self._connected() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            else:
                self.rows.folded(connection)  # a file of its own, at a moment that is no later
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with (
            self.met.noticed(),
            mending(self.rows),
            busy_is_refused(self.busy_timeout_seconds),
            self.engine.connect() as connection,
        ):
            yield connection

    @contextmanager
    def _beside(self) -> Iterator[Connection | None]:
        """A transaction that writes without the ledger's lock; None on SQLite, which has none."""
        if self.engine.dialect.name == "sqlite":
            yield None
            return
        with self._connected() as connection:
            begin_beside(connection, self.busy_timeout_seconds)
            yield connection
            connection.commit()

    def read_stream(self, stream: str) -> StreamHistory:
        """One stream, whole; empty, at version -1, when it does not exist.

        Raises:
            LedgerDamaged: an entry is not what was written, and nobody accepted that.
        """
        with self.snapshot() as connection:
            return read_stream(connection, stream)

    def read(
        self, after: int = -1, limit: int = _PAGE_ENTRIES, *, up_to: int | None = None
    ) -> list[Recorded]:
        """At most `limit` entries with position > `after` (and <= `up_to`), in order.

        What nobody can read, or is not what its hash says, comes back as `Unreadable`.

        Raises:
            LedgerDamaged: a newer version may have written one that this version cannot read.
        """
        with self.snapshot() as connection:
            return read_entries(connection, after, limit, up_to=up_to)

    def read_rows(
        self, after: int = -1, after_row: int | None = None, limit: int = _PAGE_ENTRIES
    ) -> list[Recorded]:
        """At most `limit` plain events, in order, those of many in one entry each by itself.

        `after`: behind the entry there; with `after_row` only behind that row of it.

        Raises:
            LedgerDamaged: as `read`.
        """
        with self.snapshot() as connection:
            return read_rows(connection, after, after_row, limit)

    def entry(self, position: int) -> Recorded:
        """The entry at `position`. Raises UnknownThing, LedgerDamaged."""
        found = self.read(position - 1, 1, up_to=position)
        if not found:
            raise UnknownThing.entry(position, self.size())
        return found[0]

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """Those of `ids`, which follow from what clients said, that are recorded."""
        with self.snapshot() as connection:
            return known_of_clients(connection, ids)

    def first_answer(self, id: str) -> tuple[list[Recorded], bytes | None] | None:
        """The predictions of the entry with this id, and the digest of their request."""
        with self.snapshot() as connection:
            return first_answer(connection, id)

    def stored_bytes(self, first: int, last: int) -> list[bytes]:
        """The hashed bytes of the entries from `first` to `last`, both inclusive, in order.

        Raises:
            StoredDamage: an entry's are not what its hash says.
        """
        columns = (ENTRIES.c.position, ENTRIES.c.bytes, ENTRIES.c.leaf_hash)
        places = ENTRIES.c.position.between(first, last)
        with self.snapshot() as connection:
            query = select(*columns).where(places).order_by(ENTRIES.c.position)
            return [whole(*row) for row in connection.execute(query)]

    def leaf_hashes(self, first: int, last: int) -> list[bytes]:
        """The RFC 6962 leaf hashes (32 bytes) from `first` to `last`, both inclusive, in order."""
        places = ENTRIES.c.position.between(first, last)
        with self.snapshot() as connection:
            query = select(ENTRIES.c.leaf_hash).where(places).order_by(ENTRIES.c.position)
            return list(connection.execute(query).scalars())

    def artefact(self, sha256: str) -> bytes:
        """The artefact with this digest. Raises UnknownThing, LedgerDamaged."""
        with self.snapshot() as connection:
            return stored_artefact(connection, sha256)

    def size(self) -> int:
        """How many entries there are."""
        with self.snapshot() as connection:
            return head(connection) + 1

    def sizes(self) -> tuple[int, int]:
        """How many entries there are, and how many of them are folded into rows."""
        with self.snapshot() as connection:
            folded = max(self.rows.folded(connection), -1)
            return head(connection) + 1, folded + 1

    def ledger_id(self) -> str:
        """The id in the first entry, which names this ledger for ever. Raises LedgerDamaged."""
        event = self.entry(0).event
        if not isinstance(event, LedgerCreated):
            raise instead_of(0, event, LedgerCreated.type)
        return event.ledger_id

    def close(self) -> None:
        """Write what waits and close every connection."""
        self._writer.close()
        self.rows.close()
        self.engine.dispose()
