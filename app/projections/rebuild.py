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
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from app.ledger.known_damage import damages_of, not_accepted
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.projections.differing_rows import put_rows_right
from app.projections.folding import PAGE_ENTRIES, digests, fold
from app.projections.kept_scratch import scratch_in
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
    gone_on_behind: int | None = None  # the entry up to which another one had; None: it began anew
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
    kept: Path | None = None,
) -> Rebuilt:
    """Fold every read model again and put right those that differ; they answer all the time.

    The ledger's lock is held for a page of rows that differ, and no moment of the database but for
    a comparison. `progress` is told how many entries of how many are folded, after each page of
    `page_entries`, and of rows that are put right; what it raises ends it. Cut off while it folds,
    nothing is changed; later, the rest stays as it was, for the next one. With a folder `kept` the
    next one goes on where it was cut off.

    Raises:
        LedgerBusy: another writer held the lock all the time, or somebody goes on changing them.
        LedgerDamaged: the positions have a gap; or read
            models differ, and what would be put in their place lacks what a damaged entry said.
    """
    unreadable = _unreadable(ledger, read_models)
    readable = [each for each in read_models if each.name not in unreadable]
    last = _reached(ledger, read_models)
    with scratch_in(kept, read_models, partial(_leaf_in, ledger), last) as begun:
        beside = begun.connection
        anew = _Anew(ledger, read_models, beside, page_entries, begun.done)

        def tell() -> None:
            progress(anew.done + 1, max(last, anew.done) + 1)

        while anew.done < last:  # a transaction a page: a long one would keep what others delete
            with ledger.connect() as connection:
                anew.take_page(connection, last)
                if anew.lacking is None:  # who goes on must meet what this one met
                    begun.reached(anew.done, _leaf_at(connection, anew.done))
            tell()
        with ledger.connect(with_rows=True) as moment:
            anew.go_on(moment)
            if anew.done > last:
                tell()
            before, after = digests(moment, readable), digests(beside, read_models)
        before |= {name: _UNREADABLE for name in after if name not in before}
        found = Rebuilt(
            position=anew.done,
            gone_on_behind=begun.done if begun.done >= 0 else None,
            before=before,
            after=after,
        )
        differing = found.differing
        if differing:
            _refuse(anew.lacking, differing)
        if unreadable:
            if not ledger.rows.names.issuperset(unreadable):
                ledger.fold_anew(progress)
            if not ledger.rows.names.isdisjoint(unreadable):
                ledger.rows.fold_anew(progress)
            return found

        def go_on_whole(connection: Connection) -> None:
            anew.go_on(connection)
            _refuse(anew.lacking, differing)

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
                    apart = table.name in ledger.rows.names
                    writing = ledger.rows.writing if apart else ledger.writing
                    put_rows_right(ledger.connect, writing, table, beside, go_on_whole, tell)
            with ledger.connect(with_rows=True) as moment:
                anew.go_on(moment)
                stored, right = digests(moment, wrong), digests(beside, wrong)
            differing = tuple(name for name in right if stored[name] != right[name])
        return found


class _Anew:
    """Read models folded anew beside those that stand, those of rows as far as they are there."""

    def __init__(
        self,
        ledger: Ledger,
        read_models: Sequence[ReadModel],
        beside: Connection,
        page_entries: int,
        done: int,
    ) -> None:
        self.lacking: StoredDamage | None = None  # of the first entry that may be missed in them
        self._beside = beside
        self._page_entries = page_entries
        self._folded = _folded_of(ledger, read_models)
        for each in self._folded:
            each.done = done

    @property
    def done(self) -> int:
        """The last position folded."""
        return max((each.done for each in self._folded), default=-1)

    def take_page(self, connection: Connection, up_to: int) -> None:
        """Fold the next page into all."""
        page = next(dense_pages(connection, self.done, up_to, self._page_entries))
        for each in self._folded:
            self._take(each, connection, page)

    def go_on(self, connection: Connection) -> None:
        """Fold into each what those that stand hold at this moment.

        Raises:
            LedgerBusy: they hold less than was folded already.
        """
        for each in self._folded:
            up_to = each.reached(connection)
            if up_to < each.done:
                raise LedgerBusy(
                    "read models were begun anew by somebody else meanwhile; nothing was changed. "
                    "Try again."
                )
            for page in dense_pages(connection, each.done, up_to, self._page_entries):
                self._take(each, connection, page)

    def _take(self, each: _Folded, connection: Connection, page: Sequence[Recorded]) -> None:
        fold(each.read_models, self._beside, Past(connection), page)
        self.lacking = self.lacking or not_accepted(connection, damages_of(page))
        each.done = page[-1].position


@dataclass(slots=True)
class _Folded:
    """Some of them: how far those that stand are at a moment, and how far these."""

    read_models: Sequence[ReadModel]
    reached: Callable[[Connection], int]
    done: int = -1


def _folded_of(ledger: Ledger, read_models: Sequence[ReadModel]) -> list[_Folded]:
    with_the_ledger = [each for each in read_models if each.name not in ledger.rows.names]
    apart = [each for each in read_models if each.name in ledger.rows.names]
    folded = [_Folded(with_the_ledger, head), _Folded(apart, ledger.rows.folded)]
    return [each for each in folded if each.read_models]


def _reached(ledger: Ledger, read_models: Sequence[ReadModel]) -> int:
    """Up to where all that stand are folded, at this moment."""
    with ledger.connect(with_rows=True) as connection:
        folded = _folded_of(ledger, read_models)
        return min((each.reached(connection) for each in folded), default=-1)


def _leaf_in(ledger: Ledger, position: int) -> bytes | None:
    with ledger.snapshot() as connection:
        return _leaf_at(connection, position)


def _leaf_at(connection: Connection, position: int) -> bytes | None:
    leaf: bytes | None = connection.execute(
        select(ENTRIES.c.leaf_hash).where(ENTRIES.c.position == position)
    ).scalar_one_or_none()
    return leaf


def _unreadable(ledger: Ledger, read_models: Sequence[ReadModel]) -> list[str]:
    """The read models of which a table is not there, or another: they cannot be compared."""
    found = []
    for each in read_models:
        try:
            with ledger.connect(with_rows=True) as connection:
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
