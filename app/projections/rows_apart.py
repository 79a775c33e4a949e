"""Folding the read models of rows in transactions of their own, by position, by whoever needs it.

An append does not wait for them. On SQLite they stand in a file of their own, on PostgreSQL in
ordinary tables; one folds at a time, and commits without waiting for the disk: a crash leaves them
older, and the fold goes on from there. What does not fit the ledger (of another one, or of one that
was put back to an earlier day) is folded anew, and a damaged file is removed before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import DBAPIError

from app.clock import monotonic_seconds
from app.database.compaction import compact
from app.database.engine import ROWS_SCHEMA, busy_is_refused, fetch, in_plain_words
from app.database.locks import begin_beside, take_lock, take_turns
from app.database.roles import give_to_application
from app.database.rows_file import (
    is_of_rows,
    is_whole,
    ledger_file,
    remove,
    rows_database,
    rows_file,
    rows_files,
    written_at,
)
from app.ledger.known_damage import refuse_to_begin
from app.ledger.met_damage import OPTION
from app.ledger.reading import head
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.ledger.wrong_rows import OVER_WRONG_ROWS, FoldingAnew
from app.projections.keeping import Keeping
from app.projections.positions import POSITIONS, tables_beside
from app.projections.read_model import tables_of
from app.projections.rows import ROWS, STATE, VERSION
from app.settings import Settings
from domain.errors import LedgerBusy
from domain.stored_damage import StoredDamage

_POSITION: Final = 'SELECT "position" FROM {} WHERE read_models = {}'
_PAGE_ENTRIES: Final = 1_000  # folded in one transaction, which keeps only others who fold waiting,
_PAGE_ROWS: Final = 5_000  # if they have no more rows than this
_MANY: Final = 1_000  # entries: to look through fewer is no wait for others who fold
_PAUSE_SHARE: Final = 0.25  # of a page's time until the next: others want the processor, too
_LOG: Final = logging.getLogger("whyledger.ledger")

_TOGETHER: Final = Keeping([ROWS], apart=True).together


def folded_until(connection: Connection) -> int:
    """The position up to which a connection sees rows; less than 0: none.

    Asked first in a transaction, rows are never ahead of the entries that it sees.
    """
    if postgresql := connection.dialect.name == "postgresql":
        table, mark = POSITIONS.fullname, "%s"
    else:
        table = POSITIONS.name if is_of_rows(connection) else f"{ROWS_SCHEMA}.{POSITIONS.name}"
        mark = "?"
    try:
        rows = fetch(connection, _POSITION.format(table, mark), (_TOGETHER,))
    except DBAPIError:
        if postgresql:
            raise
        return -1  # nothing stands there yet
    return max((at for (at,) in rows if type(at) is int), default=-1)


class FoldedRows:
    """The read models of rows of one process; what `app.ledger.rows_apart.RowsApart` asks for.

    Args:
        ledger: whose rows they are.
        settings: where it is.
        looks_only: whether nothing is folded, and nobody waits.
    """

    def __init__(self, ledger: Ledger, settings: Settings, *, looks_only: bool = False) -> None:
        self.always = not looks_only
        self.least = 0
        self._looks_only = looks_only
        self.keeping = Keeping([ROWS], page_entries=_PAGE_ENTRIES, page_rows=_PAGE_ROWS, apart=True)
        self.names = frozenset(str(table.name) for table in tables_of([ROWS]))
        self._ledger = ledger
        self._seconds = settings.busy_timeout_seconds
        self._turn = threading.Lock()  # threads of this process queue here, not in the database
        self._anew = FoldingAnew()
        self._file: Path | None = None
        self._engine = ledger.engine
        if ledger.engine.dialect.name == "sqlite":
            self._ledger_file = ledger_file(settings.ledger_url)
            self._file = rows_file(self._ledger_file, VERSION)
            database = rows_database(settings.ledger_url, settings, VERSION)
            self._engine = database.execution_options(**{OPTION: ledger.met})

    def folded(self, connection: Connection) -> int:
        """As `RowsApart.folded`."""
        return folded_until(connection)

    def catch_up(
        self,
        up_to: int | None = None,
        progress: Callable[[int, int], None] = lambda done, of: None,
        *,
        within: float | None = None,
    ) -> None:
        """As `RowsApart.catch_up`; `progress` is told as by `Ledger.catch_up`.

        Raises:
            LedgerBusy: somebody else had the turn all the time, or it is not done in time.
            LedgerDamaged: the positions have a gap; or rows are to be folded from the first entry
                on, and would lack one that is not what its hash says.
        """
        ends = None if within is None else monotonic_seconds() + within
        tried = begin = False
        while True:
            began = monotonic_seconds()
            if ends is not None and began > ends:
                raise LedgerBusy(
                    "what came in last is not folded row by row yet, and this needs it. It is "
                    "being folded; try again in a moment."
                )
            try:
                with self._in_turn() as (connection, stand):
                    page = self._folded_page(connection, stand, begin)
                begin = page is None
                if page is None:  # to refuse takes as long as there are entries: nobody waits
                    refuse_to_begin(self._ledger.snapshot)
                    continue
                done, of = page
            except (DBAPIError, StoredDamage, *OVER_WRONG_ROWS) as error:
                if tried and isinstance(error, OVER_WRONG_ROWS):
                    self._anew.did_not_help()
                if tried or not self._anew.may_help() or _is_of_an_entry(error):
                    raise
                tried = True
                _LOG.warning("rows that do not fit are folded anew: %s", in_plain_words(error))
                self.begin_anew(damaged=isinstance(error, StoredDamage))
                continue
            up_to = of - 1 if up_to is None else up_to
            if done > up_to or done >= of:
                return
            progress(done, of)
            time.sleep((monotonic_seconds() - began) * _PAUSE_SHARE)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that alone folds rows; committed at the end, undone on an error.

        It sees the ledger at a moment after that on which the last one ended.

        Raises:
            LedgerBusy: somebody else folded all the time.
        """
        with self._in_turn() as (connection, _):
            yield connection

    def begin_anew(self, *, damaged: bool = False) -> None:
        """Drop what stands; the next catching up folds from the first entry on.

        `damaged`: SQLite cannot use the file, which is removed.
        """
        if damaged and self._file is not None:
            remove(self._file)
            return
        refuse_to_begin(self._ledger.snapshot)  # before they are dropped, the last to hold it
        with self.writing() as connection:
            self.keeping.begin_anew(connection)

    def fold_anew(self, progress: Callable[[int, int], None] = lambda done, of: None) -> None:
        """Drop what stands and fold from the first entry on. Raises as `catch_up`."""
        self.begin_anew()
        self.catch_up(progress=progress)

    def mended(self, damage: StoredDamage) -> bool:
        """As `RowsApart.mended`."""
        if self._file is None or self._looks_only or _is_of_an_entry(damage):
            return False
        if is_whole(self._file):
            return False
        _LOG.error("the file of rows is damaged, and is folded anew: %s", damage.message)
        remove(self._file)
        return True

    def drop_others(self, unused_since: float | None = None) -> list[str]:
        """Remove the files of other versions; their names. On PostgreSQL `Keeping` drops tables.

        Args:
            unused_since: only those that nobody wrote since this moment, seconds since 1970.
        """
        if self._file is None:
            return []
        dropped = []
        for file in rows_files(self._ledger_file):
            if file != self._file and (unused_since is None or written_at(file) < unused_since):
                remove(file)
                dropped.append(file.name)
        return dropped

    def compact(self) -> str | None:
        """Rewrite the file, so that nothing deleted is left in it; as `compaction.compact`."""
        if self._file is None:
            return None  # they stand with the ledger
        self.catch_up()
        return compact(self._engine, self._seconds)

    def close(self) -> None:
        """Close every connection."""
        if self._file is not None:
            self._engine.dispose()

    @contextmanager
    def _in_turn(self) -> Iterator[tuple[Connection, frozenset[str]]]:
        """As `writing`; and the tables that stand, found once, for that takes as long as a fold."""
        if not self._turn.acquire(timeout=self._seconds):
            raise LedgerBusy(
                f"rows were being folded in this process for {self._seconds:g} s. Try again."
            )
        try:
            with (
                busy_is_refused(self._seconds),
                self._ledger.met.noticed(),  # of entries; what SQLite says may be of rows alone
                self._engine.connect() as connection,
            ):
                if self._file is None:
                    begin_beside(connection, self._seconds)
                    take_turns(connection, self.names)
                else:
                    take_lock(connection, self._seconds)
                yield connection, self._standing_where_it_fits(connection)
                connection.commit()
        finally:
            self._turn.release()

    def _folded_page(
        self, connection: Connection, stand: frozenset[str], begin: bool
    ) -> tuple[int, int] | None:
        """A page more is folded; how many entries are, and how many there are.

        None: nothing was done, for rows are to be folded from the first entry on; `begin` them.
        """
        last = head(connection)
        there = self.names <= stand
        done = self.folded(connection) if there else -1
        if there and done == last:
            return last + 1, last + 1
        reached = self.keeping.go_on(connection, done, last) if 0 <= done < last else None
        if reached is None:
            if not begin and self.keeping.begins(connection):
                if last >= _MANY:
                    return None
                refuse_to_begin(lambda: nullcontext(connection))
            reached = self.keeping.catch_up(connection, begin=True)[0] - 1
        if reached >= 0:
            if STATE.name not in stand:
                STATE.create(connection)
                give_to_application(connection, [STATE])
            leaf = select(ENTRIES.c.leaf_hash).where(ENTRIES.c.position == reached)
            connection.execute(delete(STATE))
            state = {"position": reached, "leaf_hash": leaf.scalar_subquery()}
            connection.execute(insert(STATE).values(state))
        return reached + 1, last + 1

    def _standing_where_it_fits(self, connection: Connection) -> frozenset[str]:
        """The tables that stand; those folded from other entries than the ledger's are dropped."""
        stand = frozenset(tables_beside(connection))
        if POSITIONS.name not in stand:
            POSITIONS.create(connection)
        if STATE.name in stand and not _fit(connection):
            _LOG.warning("rows of another ledger, or of one put back, are folded anew")
            self.keeping.begin_anew(connection)
            stand -= self.keeping.names
        return stand


def _fit(connection: Connection) -> bool:
    """Whether the last entry folded is the ledger's."""
    for position, leaf_hash in connection.execute(select(STATE)).all():
        leaf = select(ENTRIES.c.leaf_hash).where(ENTRIES.c.position == position)
        if connection.execute(leaf).scalar_one_or_none() != leaf_hash:
            return False
    return True


def _is_of_an_entry(error: Exception) -> bool:
    """Whether it says that the ledger is damaged: then rows are not what must be folded anew."""
    return isinstance(error, StoredDamage) and not isinstance(error.__cause__, DBAPIError)
