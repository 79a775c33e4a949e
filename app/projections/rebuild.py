"""Fold the whole ledger again, beside the read models: the proof that they follow from it.

What differs is put right from what came out. Until then the old tables answer, and appends go on.
Where the data of an entry was edited since it was folded, or is gone, what came out lacks it: then
nothing is put right, for the old tables may be the last that hold what it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Table, delete, select
from sqlalchemy.exc import DBAPIError

from app.database.engine import insert_rows
from app.ledger.reading import Past, dense_pages, head
from app.ledger.store import Ledger
from app.projections.folding import PAGE_ENTRIES, digests, fold, scratch
from app.projections.read_model import ReadModel, tables_of
from app.projections.runner import READ_MODELS
from domain.errors import LedgerDamaged
from domain.events.envelope import Recorded
from domain.events.unreadable import Unreadable

_ROWS_PER_COPY: Final = 1000
_UNREADABLE: Final = "could not be read"  # in place of a digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """The digests of the read models' tables before and after, at the same position."""

    position: int  # of the last entry that was folded
    before: dict[str, str]  # table -> SHA-256 over its rows, or that it could not be read
    after: dict[str, str]

    @property
    def differing(self) -> tuple[str, ...]:
        """The tables that did not follow from the ledger; empty when all is well."""
        return tuple(name for name in self.after if self.after[name] != self.before[name])


def rebuild(
    ledger: Ledger,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    read_models: Sequence[ReadModel] = READ_MODELS,
    page_entries: int = PAGE_ENTRIES,
) -> Rebuilt:
    """Fold every read model again and put right those that differ; cut off, all stay as they were.

    The ledger's lock is held only to copy what differs, and no moment of the database but for the
    comparison. `progress` is told how many entries of how many are folded, after each page of
    `page_entries`; what it raises ends the fold, and nothing is changed.

    Raises:
        LedgerBusy: another writer held the lock all the time.
        LedgerDamaged: an entry is not what its hash says, or the positions have a gap; or read
            models differ, and what would be put in their place lacks an entry's damaged data.
    """
    unreadable = _unreadable(ledger, read_models)
    readable = [each for each in read_models if each.name not in unreadable]
    with scratch(read_models) as beside:
        done = -1
        lacking: str | None = None  # why the first entry was passed over whose data is damaged

        def take(connection: Connection, page: Sequence[Recorded]) -> None:
            nonlocal done, lacking
            fold(read_models, beside, Past(connection), page)
            lacking = lacking or _lacking(page)
            done = page[-1].position

        def go_on(connection: Connection) -> None:
            last = head(connection)
            for page in dense_pages(connection, done, last, page_entries):
                take(connection, page)
                progress(done + 1, last + 1)

        with ledger.connect() as connection:
            last = head(connection)
        while done < last:  # a transaction a page: a long one would keep what others delete
            with ledger.connect() as connection:
                take(connection, next(dense_pages(connection, done, last, page_entries)))
            progress(done + 1, last + 1)
        with ledger.connect() as moment:
            go_on(moment)
            before, after = digests(moment, readable), digests(beside, read_models)
        before |= {name: _UNREADABLE for name in after if name not in before}
        found = Rebuilt(position=done, before=before, after=after)
        if found.differing:
            _refuse(lacking, found.differing)
        if unreadable:
            ledger.fold_anew(progress)
        elif found.differing:
            with ledger.writing() as connection:
                go_on(connection)
                _refuse(lacking, found.differing)
                for table in tables_of(read_models):
                    if table.name in found.differing:
                        _copy(table, beside, connection)
        return found


def _unreadable(ledger: Ledger, read_models: Sequence[ReadModel]) -> list[str]:
    """The read models of which a table is not there, or another: they cannot be compared."""
    found = []
    for each in read_models:
        try:
            with ledger.connect() as connection:
                for table in each.tables:
                    connection.execute(select(table).limit(1))
        except DBAPIError:
            found.append(each.name)
    return found


def _lacking(page: Sequence[Recorded]) -> str | None:
    """Why the first entry was passed over that could be read when it was folded; None: none was."""
    for entry in page:
        if isinstance(entry.event, Unreadable) and entry.event.edited:
            return entry.event.why
    return None


def _refuse(lacking: str | None, differing: Sequence[str]) -> None:
    if lacking is not None:
        raise LedgerDamaged(
            f"{lacking}. What the ledger gives without it differs from the read models "
            f"{', '.join(differing)}, which may be the last that hold it: they were left as they "
            "are. Restore the data from a back-up; then run `whyledger replay`."
        )


def _copy(table: Table, source: Connection, target: Connection) -> None:
    target.execute(delete(table))
    rows = source.execute(select(table), execution_options={"yield_per": _ROWS_PER_COPY})
    for some in rows.partitions():
        insert_rows(target, table, [tuple(row) for row in some])
