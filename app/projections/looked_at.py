"""Read models of a ledger that is only looked at: its own, or folded beside it for the moment.

Its own are read where they stand and hold every entry. Where they are behind, those of another
version, out of this login's reach or of an older schema, all entries are folded into a scratch
database, which nobody else sees and which ends with this process. Neither writes into the ledger.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from sqlalchemy import Connection, literal, select
from sqlalchemy.exc import DBAPIError

from app.database.error_meaning import Meaning, meaning_of
from app.database.migrating import CannotJudge
from app.database.read_only import may_read
from app.database.storage import StorageFailed
from app.ledger.catching_up import Progress
from app.ledger.known_damage import refuse_to_begin
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.store import Ledger
from app.projections.folding import PAGE_ENTRIES, fold, scratch
from app.projections.positions import POSITIONS, tables_beside
from app.projections.read_model import tables_of
from app.projections.runner import WITH_THE_LEDGER, apply


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A ledger and read models that hold its entries, as they were when it was opened."""

    connect: Callable[[], AbstractContextManager[Connection]]  # to the read models alone
    ledger_id: Callable[[], str]  # as that of `Ledger`
    entries: int  # folded into them
    stand: bool  # whether they are the ledger's own

    def size(self) -> int:
        """How many entries are told of."""
        return self.entries


@contextmanager
def look_at_read_models(ledger: Ledger, progress: Progress) -> Iterator[LookedAt]:
    """The read models of a ledger from `look_at_ledger`; those of rows are not among them.

    What others append meanwhile may be missing in them. Memory does not grow with the ledger.

    Args:
        ledger: only looked at; closed by somebody else after this.
        progress: told how many entries of how many are folded beside it, from 0 on, when that
            takes more than a page.

    Raises:
        LedgerBusy: the database is in use or out of reach.
        CannotJudge: this login may not read the entries.
        LedgerDamaged: the positions have a gap; or they are to be folded, and would lack an entry
            that is not what its hash says, and nobody accepted that.
        StorageFailed: they are to be folded, and there is no room for them.
    """
    with ledger.snapshot() as connection, may_read():
        last = head(connection)
    if _stand(ledger):
        yield LookedAt(ledger.snapshot, ledger.ledger_id, last + 1, stand=True)
        return
    if last >= PAGE_ENTRIES:
        progress(0, last + 1)
    refuse_to_begin(ledger.snapshot)
    with scratch(WITH_THE_LEDGER) as beside:
        _fold(ledger, beside, last, progress)
        yield LookedAt(lambda: nullcontext(beside), ledger.ledger_id, last + 1, stand=False)


def _stand(ledger: Ledger) -> bool:
    """Whether all of this version are there, hold every entry, and may be read."""
    try:
        with ledger.snapshot() as connection, may_read():
            if POSITIONS.name not in tables_beside(connection):
                return False  # an older schema
            if apply.begins(connection) or apply.is_behind(connection):
                return False
            for table in tables_of(WITH_THE_LEDGER):
                connection.execute(select(literal(1)).select_from(table).limit(0))
            return True
    except CannotJudge:  # a login may read the entries, and not tables that a new version made
        return False


def _fold(ledger: Ledger, beside: Connection, last: int, progress: Progress) -> None:
    done = -1
    while done < last:  # a transaction a page: a long one would keep what others delete
        with ledger.snapshot() as connection, may_read():
            page = next(dense_pages(connection, done, last, PAGE_ENTRIES))
            with _no_room_is_refused():
                fold(WITH_THE_LEDGER, beside, Past(connection), page)
        done = page[-1].position
        if done < last:
            progress(done + 1, last + 1)


@contextmanager
def _no_room_is_refused() -> Iterator[None]:
    """Of the scratch database: else it would be taken for the ledger's.

    Raises:
        StorageFailed: it has no room.
    """
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error) or meaning_of(error) is not Meaning.NO_ROOM:
            raise  # the ledger's own
        raise StorageFailed(
            f"there is no room for the read models that are folded beside the ledger: {error.orig}."
            " Name a folder with more room in SQLITE_TMPDIR, and try again; or let the version of "
            "the service that keeps the ledger export it."
        ) from error
