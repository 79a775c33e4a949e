"""Fold the whole ledger again, beside the read models: the proof that they follow from it.

What differs is put right from what came out, row by row and page by page: the old rows answer until
then, appends go on, and nobody waits for more than a page.
Where an entry or its data was edited since it was folded, or is gone, what came out lacks it: then
nothing is put right until somebody accepts that, for the old tables may be the last that hold what
it said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from app.ledger.known_damage import damages_of, not_accepted
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.store import Ledger
from app.projections.differing_rows import put_rows_right
from app.projections.folding import PAGE_ENTRIES, digests, fold, scratch
from app.projections.read_model import ReadModel, tables_of
from app.projections.runner import READ_MODELS
from domain.errors import LedgerBusy, LedgerDamaged
from domain.events.envelope import Recorded
from domain.stored_damage import StoredDamage

_TRIES: Final = 3  # to put right what differs; a second takes what was folded from wrong rows
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
    """Fold every read model again and put right those that differ; they answer all the time.

    The ledger's lock is held for a page of rows that differ, and no moment of the database but for
    a comparison. `progress` is told how many entries of how many are folded, after each page of
    `page_entries`, and of rows that are put right; what it raises ends it. Cut off while it folds,
    nothing is changed; later, the rest stays as it was, for the next one.

    Raises:
        LedgerBusy: another writer held the lock all the time, or somebody goes on changing them.
        LedgerDamaged: the positions have a gap; or read
            models differ, and what would be put in their place lacks what a damaged entry said.
    """
    unreadable = _unreadable(ledger, read_models)
    readable = [each for each in read_models if each.name not in unreadable]
    with scratch(read_models) as beside:
        done = -1
        lacking: StoredDamage | None = None  # of the first entry that may be missed in it

        def take(connection: Connection, page: Sequence[Recorded]) -> None:
            nonlocal done, lacking
            fold(read_models, beside, Past(connection), page)
            lacking = lacking or not_accepted(connection, damages_of(page))
            done = page[-1].position

        def go_on(connection: Connection) -> None:
            for page in dense_pages(connection, done, head(connection), page_entries):
                take(connection, page)

        def tell() -> None:
            progress(done + 1, max(last, done) + 1)

        with ledger.connect() as connection:
            last = head(connection)
        while done < last:  # a transaction a page: a long one would keep what others delete
            with ledger.connect() as connection:
                take(connection, next(dense_pages(connection, done, last, page_entries)))
            tell()
        with ledger.connect() as moment:
            go_on(moment)
            if done > last:
                tell()
            before, after = digests(moment, readable), digests(beside, read_models)
        before |= {name: _UNREADABLE for name in after if name not in before}
        found = Rebuilt(position=done, before=before, after=after)
        differing = found.differing
        if differing:
            _refuse(lacking, differing)
        if unreadable:
            ledger.fold_anew(progress)
            return found

        def go_on_whole(connection: Connection) -> None:
            go_on(connection)
            _refuse(lacking, differing)

        tries = 0
        while differing:
            if tries == _TRIES:
                raise LedgerBusy(
                    f"read models {', '.join(differing)} were put right {tries} times and differ "
                    "again: somebody goes on changing them. Find out who writes into the database; "
                    "then run `whyledger replay`."
                )
            tries += 1
            wrong = [
                each
                for each in read_models
                if not {table.name for table in tables_of([each])}.isdisjoint(differing)
            ]
            for table in tables_of(wrong):
                if table.name in differing:
                    put_rows_right(ledger, table, beside, go_on_whole, tell)
            with ledger.connect() as moment:
                go_on(moment)
                stored, right = digests(moment, wrong), digests(beside, wrong)
            differing = tuple(name for name in right if stored[name] != right[name])
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


def _refuse(lacking: StoredDamage | None, differing: Sequence[str]) -> None:
    if lacking is not None:
        raise LedgerDamaged(
            f"{lacking.message} What the ledger gives without it differs from the read models "
            f"{', '.join(differing)}, which may be the last that hold it: they were left as they "
            "are. Restore what was written from a back-up, or give it up: `whyledger settle "
            "--reason`; then run `whyledger replay`."
        )
