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

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, MetaData, Table, delete, select, update
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA, fetch
from app.database.locks import take_turns
from app.database.roles import give_to_application
from app.ledger.commit import ReadModelsBehind
from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.tables import ENTRIES
from app.ledger.wrong_rows import OVER_WRONG_ROWS
from app.projections.folding import PAGE_ENTRIES, fold
from app.projections.positions import (
    POSITIONS,
    forget,
    position_rows,
    positions_of,
    tables_beside,
)
from app.projections.read_model import ReadModel, put, tables_of
from domain.errors import LedgerBusy, ReadModelUnfit
from domain.events.envelope import Recorded
from domain.events.expansion import expanded

_LOG: Final = logging.getLogger("whyledger.ledger")
_PAGE_FOLDED: Final = 250  # missing entries folded in one transaction, which others wait for
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
        page_entries: of those that are missing, how many are folded in one transaction at most.
    """

    def __init__(
        self, read_models: Sequence[ReadModel], *, page_entries: int = _PAGE_FOLDED
    ) -> None:
        self.read_models = tuple(read_models)
        self.page_entries = page_entries
        self._together = _together(read_models)

    def __call__(self, connection: Connection, entries: Sequence[Recorded]) -> None:
        """Fold new entries, inside their append's transaction; what others left out before them.

        Raises:
            ReadModelsBehind: they left out more than a page.
            ReadModelUnfit: somebody changed them.
        """
        first, last = entries[0].position, entries[-1].position
        if self._fetch(connection, _ADVANCE, last, self._together, first - 1):
            try:
                fold(self.read_models, connection, Past(connection), entries)
            except OVER_WRONG_ROWS as error:
                raise ReadModelUnfit(
                    f"the new entries do not fit what the read models hold ({_words(error)}): "
                    "somebody changed them behind the service. They are folded anew; try again."
                ) from error
        elif (
            _begin(connection, self.read_models, first - 1)
            or self._catch_up(connection, last, self.page_entries + len(entries), first - 1) < last
        ):
            raise ReadModelsBehind

    def is_behind(self, connection: Connection) -> bool:
        """Whether there are entries that are not folded yet."""
        return not self._fetch(connection, _UP_TO_DATE, self._together)

    def begins(self, connection: Connection) -> bool:
        """Whether some are to be folded from the first entry on, and there is one."""
        return _begin(connection, self.read_models, head(connection))

    def catch_up(self, connection: Connection, *, begin: bool = False) -> tuple[int, int]:
        """Fold what is missing, a page of it at most, under the ledger's lock.

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
        return self._catch_up(connection, last, self.page_entries, last) + 1, last + 1

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
        if last - done <= self.page_entries:
            return None
        up_to = done + self.page_entries
        self._fold(connection, behind, positions, up_to)
        self._reached(connection, behind, positions, up_to)
        return up_to + 1, last + 1

    def others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """The names of read models that other versions keep, or kept.

        Only those into which an entry recorded before `unfolded_before` is not folded; None: all.
        What `read_model_positions` does not name is no read model, but an operator's own table.
        """
        mine = {table.name for table in tables_of(self.read_models)}
        known = positions_of(connection)
        return [
            name
            for name in sorted(known.keys() & tables_beside(connection) - mine)
            if unfolded_before is None
            or _recorded(connection, max(known[name], -1) + 1) < unfolded_before
        ]

    def drop_others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """Drop those `others`, under the ledger's lock; their names.

        Whoever needs one after all makes it again from the ledger. One that the database keeps,
        since a view stands on it or another login owns it, stays: housekeeping stops nobody.

        Raises:
            LedgerBusy: one stays, and all were to go, with what an erasure must reach.
        """
        others = self.others(connection, unfolded_before)
        take_turns(connection, others)
        dropped = []
        for name in others:
            try:
                with connection.begin_nested():
                    Table(name, MetaData(schema=READ_MODELS_SCHEMA)).drop(connection)
            except DBAPIError as error:
                said = f"read model {name!r} of another version cannot be dropped: {_words(error)}"
                if unfolded_before is None:
                    raise LedgerBusy(
                        f"{said}. Remove what stands on it, or let its owner drop it; try again."
                    ) from error
                _LOG.warning("%s", said)
            else:
                dropped.append(name)
        kept = set(others) - set(dropped)
        forget(
            connection,
            [
                row
                for row in position_rows(connection)
                if not set(dropped).isdisjoint(row.split()) and kept.isdisjoint(row.split())
            ],
        )
        return dropped

    def begin_anew(self, connection: Connection) -> None:
        """Drop these read models, under the ledger's lock: they do not fit their position.

        The next catching up makes them, and folds from the first entry on.
        """
        mine = {str(table.name) for table in tables_of(self.read_models)}
        take_turns(connection, mine)
        for name in sorted(tables_beside(connection) & mine):
            Table(name, MetaData(schema=READ_MODELS_SCHEMA)).drop(connection)
        forget(
            connection,
            [row for row in position_rows(connection) if not mine.isdisjoint(row.split())],
        )

    def _catch_up(self, connection: Connection, last: int, entries_max: int, until: int) -> int:
        """Fold at most so many entries up to `last`; what is folded beyond `until` begins anew.

        Returns:
            The position reached.
        """
        known = positions_of(connection)
        take_turns(connection, [e.name for e in self.read_models if known.get(e.name) != last])
        positions = self._made(connection, until)
        behind = [each for each in self.read_models if positions[each.name] < last]
        done = min((positions[each.name] for each in behind), default=last)
        up_to = min(last, done + entries_max)
        self._fold(connection, behind, positions, up_to)
        if up_to == last:
            self._finish(connection, last)
        else:
            self._reached(connection, behind, positions, up_to)
        return up_to

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
        past = Past(connection)
        for rows in map(expanded, dense_pages(connection, done, up_to, PAGE_ENTRIES)):
            for each in behind:
                since = positions[each.name]
                fold([each], connection, past, [one for one in rows if one.position > since])

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
        put(connection, POSITIONS, {"read_models": self._together, "position": last})
        mine = {table.name for table in tables_of(self.read_models)}
        parts = [row for row in position_rows(connection) if mine.issuperset(row.split())]
        forget(connection, [row for row in parts if row != self._together])

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


def _words(error: Exception) -> str:
    found = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(f"{type(found).__name__}: {found}".split())


def _together(read_models: Iterable[ReadModel]) -> str:
    return " ".join(sorted(str(table.name) for table in tables_of(read_models)))


def _recorded(connection: Connection, position: int) -> str:
    """When the entry at this position was recorded; after all times when there is none."""
    query = select(ENTRIES.c.recorded_at).where(ENTRIES.c.position == position)
    return str(connection.execute(query).scalar_one_or_none() or "9")
