"""Keeping read models: what is folded into which, however many versions of the service append.

Each process keeps the read models of its version. `read_model_positions` says up to where some of
them are folded, a row for those that go together; what holds for a read model is the highest row
that names it. An append moves one row on, by the statement that also finds whether somebody who
keeps others appended since: then what is missing is folded first, by position. Others wait while
the ledger's lock is held, so no transaction folds more than a page of what is missing.

Nobody appends into a read model that is behind, so on PostgreSQL all pages but the first and the
last are folded without that lock: whoever folds into one takes its turn with those that do, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, MetaData, Table, delete, update

from app.database.engine import READ_MODELS_SCHEMA, fetch, in_plain_words
from app.database.locks import take_turns
from app.database.roles import give_to_application
from app.ledger.blocks import end_of_page
from app.ledger.commit import ReadModelsBehind
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.wrong_rows import OVER_WRONG_ROWS
from app.projections.folding import PAGE_ENTRIES, fold
from app.projections.other_versions import drop, others_of
from app.projections.positions import (
    POSITIONS,
    forget,
    position_rows,
    positions_of,
    tables_beside,
)
from app.projections.read_model import ReadModel, put, tables_of
from app.projections.rows import ROWS
from domain.errors import ReadModelUnfit
from domain.events.envelope import Recorded

_PAGE_FOLDED: Final = 250  # missing entries folded in one transaction, which others wait for,
_ROWS_FOLDED: Final = 2_000  # if they have no more rows than this; one entry is folded whole
_FOREIGN: Final = -2  # in place of a position: what is folded is not, or no more, in this ledger
_ADVANCE: Final = (
    "UPDATE {table} SET position = {mark} WHERE read_models = {mark} AND position = {mark}"
    " RETURNING position"
)
_UP_TO_DATE: Final = (
    "SELECT position FROM {table} WHERE read_models = {mark}"
    ' AND position = (SELECT coalesce(max("position"), -1) FROM entries)'
)


class Keeping:
    """Keeps some read models: what `app.ledger.commit.Project` asks for.

    Args:
        read_models: which.
        page_entries: of those that are missing, how many are folded in one transaction at most,
        page_rows: and how many rows they may have together. One entry is always folded whole.
        apart: whether they are folded without the ledger's lock, by whoever has their turn.
    """

    def __init__(
        self,
        read_models: Sequence[ReadModel],
        *,
        page_entries: int = _PAGE_FOLDED,
        page_rows: int = _ROWS_FOLDED,
        apart: bool = False,
    ) -> None:
        self.read_models = tuple(read_models)
        self.page_entries = page_entries
        self.page_rows = page_rows
        self.names = frozenset(name for each in read_models for name in each.names)
        self._ours = self.names | ROWS.names
        self._apart = apart
        self.together = _together(read_models)

    def __call__(self, connection: Connection, entries: Sequence[Recorded]) -> None:
        """Fold new entries, inside their append's transaction; what others left out before them.

        Raises:
            ReadModelsBehind: they left out more than a page.
            ReadModelUnfit: somebody changed them.
        """
        first, last = entries[0].position, entries[-1].position
        if self._fetch(connection, _ADVANCE, last, self.together, first - 1):
            try:
                fold(self.read_models, connection, Past(connection), entries)
            except OVER_WRONG_ROWS as error:
                words = in_plain_words(error)
                raise ReadModelUnfit(
                    f"the new entries do not fit what the read models hold ({words}): "
                    "somebody changed them behind the service. They are folded anew; try again."
                ) from error
        elif (
            _begin(connection, self.read_models, first - 1)
            or self._catch_up(connection, first - 1, new=len(entries)) < last
        ):
            raise ReadModelsBehind

    def is_behind(self, connection: Connection) -> bool:
        """Whether there are entries that are not folded yet."""
        return not self._fetch(connection, _UP_TO_DATE, self.together)

    def go_on(self, connection: Connection, done: int, last: int) -> int | None:
        """Fold a page more up to `last`, where all are folded up to `done`, in their turn.

        It asks little beside the fold, for it follows every append.

        Returns:
            The position reached. None: they are not so far, or there are none.
        """
        up_to = self._page_end(connection, done, last)
        if not self._fetch(connection, _ADVANCE, up_to, self.together, done):
            return None
        positions = {each.name: done for each in self.read_models}
        self._fold(connection, self.read_models, positions, up_to)
        return up_to

    def begins(self, connection: Connection) -> bool:
        """Whether some are to be folded from the first entry on, and there is one."""
        return _begin(connection, self.read_models, head(connection))

    def catch_up(self, connection: Connection, *, begin: bool = False) -> tuple[int, int]:
        """Fold what is missing, a page of it at most, under the ledger's lock, or in their turn.

        Read models that do not stand yet are made, and folded from the first entry on; with `begin`
        alone, for without an entry that is not what its hash says they would be others.

        Returns:
            How many entries are folded, and how many there are.

        Raises:
            LedgerDamaged: the positions have a gap.
        """
        last = head(connection)
        if not begin and self.begins(connection):
            return 0, last + 1
        return self._catch_up(connection, last) + 1, last + 1

    def fold_beside(self, connection: Connection) -> tuple[int, int] | None:
        """As `catch_up`, on PostgreSQL, in a transaction that does not hold the ledger's lock.

        Returns:
            As `catch_up`. None: nothing was done. Read models are to be made, or so little is
            missing that who folds it under the lock is done.
        """
        last = head(connection)
        names = {each.name for each in self._behind(connection, last)}
        take_turns(connection, names)
        positions = positions_of(connection)
        behind = self._behind(connection, last)
        if _begin(connection, behind, last):
            return None
        done = min((positions[each.name] for each in behind), default=last)
        up_to = self._page_end(connection, done, last)
        if up_to >= last:
            return None
        self._fold(connection, behind, positions, up_to)
        self._reached(connection, behind, positions, up_to)
        return up_to + 1, last + 1

    def others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """The names of read models that other versions keep, or kept; see `others_of`."""
        return others_of(connection, self._ours, unfolded_before)

    def drop_others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """Drop those `others`, under the ledger's lock; their names. Raises as `drop`."""
        return drop(connection, self.others(connection, unfolded_before), unfolded_before)

    def begin_anew(self, connection: Connection) -> None:
        """Drop these read models, under the ledger's lock: they do not fit their position.

        The next catching up makes them, and folds from the first entry on.
        """
        take_turns(connection, self.names)
        for name in sorted(tables_beside(connection) & self.names):
            Table(name, MetaData(schema=READ_MODELS_SCHEMA)).drop(connection)
        rows = position_rows(connection)
        forget(connection, [row for row in rows if not self.names.isdisjoint(row.split())])

    def _catch_up(self, connection: Connection, until: int, *, new: int = 0) -> int:
        """Fold a page at most up to `until`, and when that is all, the `new` entries behind it.

        What is folded beyond `until` begins anew.

        Returns:
            The position reached.
        """
        last = until + new
        known = positions_of(connection)
        take_turns(connection, [e.name for e in self.read_models if known.get(e.name) != last])
        positions = self._made(connection, until)
        behind = [each for each in self.read_models if positions[each.name] < last]
        done = min((positions[each.name] for each in behind), default=last)
        up_to = self._page_end(connection, done, until)
        if up_to == until:
            up_to = last
        self._fold(connection, behind, positions, up_to)
        if up_to == last:
            self._finish(connection, last)
        else:
            self._reached(connection, behind, positions, up_to)
        return up_to

    def _page_end(self, connection: Connection, done: int, until: int) -> int:
        """The position up to which one transaction folds of what is missing up to `until`."""
        return end_of_page(connection, done, min(until, done + self.page_entries), self.page_rows)

    def _behind(self, connection: Connection, last: int) -> list[ReadModel]:
        positions = positions_of(connection)
        return [each for each in self.read_models if positions.get(each.name, -1) < last]

    def _fold(
        self,
        connection: Connection,
        behind: Sequence[ReadModel],
        positions: Mapping[str, int],
        up_to: int,
    ) -> None:
        """Fold into each of those that are `behind` what it lacks up to a position."""
        done = min((positions[each.name] for each in behind), default=up_to)
        for page in dense_pages(connection, done, up_to, PAGE_ENTRIES):
            past = Past(connection)
            for each in behind:
                since = positions[each.name]
                fold([each], connection, past, [one for one in page if one.position > since])

    def _reached(
        self,
        connection: Connection,
        behind: Sequence[ReadModel],
        positions: Mapping[str, int],
        up_to: int,
    ) -> None:
        """Say so of those that were not as far before."""
        reached = [each for each in behind if positions[each.name] < up_to]
        put(connection, POSITIONS, {"read_models": _together(reached), "position": up_to})

    def _made(self, connection: Connection, until: int) -> dict[str, int]:
        """How far each read model is. One that does not stand is made, and begins at -1.

        So does, empty, one of which nothing is known, or that holds more than the entries up to
        `until`: some of those were removed, or another ledger's were put in their place. So does,
        too, one whose tables are not all folded up to the same entry.
        """
        beyond = update(POSITIONS).where(POSITIONS.c.position > until)
        if self._apart:  # others may be ahead, for they are folded as entries come
            beyond = beyond.where(POSITIONS.c.read_models == self.together)
        connection.execute(beyond.values(position=_FOREIGN))  # the row stays: it names what stands
        stand = tables_beside(connection)
        missing = [table for table in tables_of(self.read_models) if table.name not in stand]
        if missing:
            missing[0].metadata.create_all(connection, tables=missing, checkfirst=False)
            give_to_application(connection, missing)
        known = positions_of(connection)
        found = {}
        for each in self.read_models:
            folded = {known.get(str(table.name), -1) for table in each.tables}
            whole = len(folded) == 1 and not any(table in missing for table in each.tables)
            found[each.name] = max(folded.pop(), -1) if whole else -1
            if found[each.name] < 0:
                for table in each.tables:
                    connection.execute(delete(table))
        return found

    def _finish(self, connection: Connection, last: int) -> None:
        """All of them are folded up to `last`: one row says so, and those for parts go."""
        put(connection, POSITIONS, {"read_models": self.together, "position": last})
        rows = position_rows(connection)
        parts = [row for row in rows if self.names.issuperset(row.split())]
        forget(connection, [row for row in parts if row != self.together])

    def _fetch(
        self, connection: Connection, statement: str, *values: object
    ) -> list[tuple[object, ...]]:
        sqlite = connection.dialect.name == "sqlite"
        table = POSITIONS.name if sqlite else POSITIONS.fullname
        mark = "?" if sqlite else "%s"
        return fetch(connection, statement.format(table=table, mark=mark), values)


def _begin(connection: Connection, read_models: Iterable[ReadModel], last: int) -> bool:
    """Whether some are to be folded from the first entry on, of a ledger that ends with `last`."""
    positions, stand = positions_of(connection), tables_beside(connection)
    for each in read_models:
        tables = {str(table.name) for table in each.tables}
        folded = {positions.get(name, -1) for name in tables}
        if not tables <= stand or len(folded) > 1 or not 0 <= min(folded) <= last:
            return last >= 0
    return False


def _together(read_models: Iterable[ReadModel]) -> str:
    return " ".join(sorted(name for each in read_models for name in each.names))
