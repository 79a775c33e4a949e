"""Keeping read models: what is folded into which, however many versions of the service append.

Each process keeps the read models of its version. `read_model_positions` says up to where some of
them are folded, a row for those that go together; what holds for a read model is the highest row
that names it. An append moves one row on, by the statement that also finds whether somebody who
keeps others appended since: then what is missing is folded first, by position. Others wait while
the ledger's lock is held, so no transaction folds more than a page of what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table, delete, inspect, select, update
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA, fetch
from app.database.roles import give_to_application
from app.ledger.commit import ReadModelsBehind
from app.ledger.reading import Past, dense_pages, head
from app.ledger.tables import ENTRIES, NAME, POSITION
from app.ledger.wrong_rows import OVER_WRONG_ROWS
from app.projections.folding import PAGE_ENTRIES, fold
from app.projections.read_model import METADATA, ReadModel, put
from domain.errors import LedgerBusy, ReadModelUnfit
from domain.events.envelope import Recorded
from domain.events.expansion import expanded

POSITIONS: Final = Table(
    "read_model_positions",
    METADATA,
    Column("read_models", NAME, primary_key=True),  # their names, sorted, with blanks between
    Column("position", POSITION, nullable=False),  # of the last entry folded; -1: none
)
_LOG: Final = logging.getLogger("whyledger.ledger")
_PAGE_FOLDED: Final = 1000  # missing entries folded in one transaction, which others wait for
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
        elif self._catch_up(connection, last, self.page_entries + len(entries), first - 1) < last:
            raise ReadModelsBehind

    def is_behind(self, connection: Connection) -> bool:
        """Whether there are entries that are not folded yet."""
        return not self._fetch(connection, _UP_TO_DATE, self._together)

    def catch_up(self, connection: Connection) -> tuple[int, int]:
        """Fold what is missing, a page of it at most, under the ledger's lock.

        Read models that do not stand yet are made, and folded from the first entry on.

        Returns:
            How many entries are folded, and how many there are.

        Raises:
            LedgerDamaged: an entry is not what its hash says, or the positions have a gap.
        """
        last = head(connection)
        return self._catch_up(connection, last, self.page_entries, last) + 1, last + 1

    def others(self, connection: Connection, unfolded_before: str | None = None) -> list[str]:
        """The names of read models that other versions keep, or kept.

        Only those into which an entry recorded before `unfolded_before` is not folded; None: all.
        What `read_model_positions` does not name is no read model, but an operator's own table.
        """
        mine = {each.name for each in self.read_models}
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
        _forget(
            connection,
            [
                row
                for row in _rows(connection)
                if not set(dropped).isdisjoint(row.split()) and kept.isdisjoint(row.split())
            ],
        )
        return dropped

    def begin_anew(self, connection: Connection) -> None:
        """Drop these read models, under the ledger's lock: they do not fit their position.

        The next catching up makes them, and folds from the first entry on.
        """
        mine = {each.name for each in self.read_models}
        for name in sorted(tables_beside(connection) & mine):
            Table(name, MetaData(schema=READ_MODELS_SCHEMA)).drop(connection)
        _forget(connection, [row for row in _rows(connection) if not mine.isdisjoint(row.split())])

    def _catch_up(self, connection: Connection, last: int, entries_max: int, until: int) -> int:
        """Fold at most so many entries up to `last`; what is folded beyond `until` begins anew.

        Returns:
            The position reached.
        """
        positions = self._made(connection, until)
        behind = [each for each in self.read_models if positions[each.name] < last]
        done = min((positions[each.name] for each in behind), default=last)
        up_to = min(last, done + entries_max)
        past = Past(connection)
        for page in dense_pages(connection, done, up_to, PAGE_ENTRIES):
            rows = expanded(page)  # once for all of them
            for each in behind:
                since = positions[each.name]
                fold([each], connection, past, [one for one in rows if one.position > since])
        if up_to == last:
            self._finish(connection, last)
        else:
            reached = [each for each in behind if positions[each.name] < up_to]
            put(connection, POSITIONS, {"read_models": _together(reached), "position": up_to})
        return up_to

    def _made(self, connection: Connection, until: int) -> dict[str, int]:
        """How far each read model is. One that does not stand is made, and begins at -1.

        So does, empty, one of which nothing is known, or that holds more than the entries up to
        `until`: some of those were removed, or another ledger's were put in their place.
        """
        beyond = update(POSITIONS).where(POSITIONS.c.position > until)
        connection.execute(beyond.values(position=_FOREIGN))  # the row stays: it names what stands
        stand = tables_beside(connection)
        missing = [each.table for each in self.read_models if each.name not in stand]
        if missing:
            missing[0].metadata.create_all(connection, tables=missing, checkfirst=False)
            give_to_application(connection, missing)
        known = positions_of(connection)
        found = {}
        for each in self.read_models:
            found[each.name] = -1 if each.table in missing else max(known.get(each.name, -1), -1)
            if found[each.name] < 0:
                connection.execute(delete(each.table))
        return found

    def _finish(self, connection: Connection, last: int) -> None:
        """All of them are folded up to `last`: one row says so, and those for parts go."""
        put(connection, POSITIONS, {"read_models": self._together, "position": last})
        mine = {each.name for each in self.read_models}
        parts = [row for row in _rows(connection) if mine.issuperset(row.split())]
        _forget(connection, [row for row in parts if row != self._together])

    def _fetch(
        self, connection: Connection, statement: str, *values: object
    ) -> list[tuple[object, ...]]:
        sqlite = connection.dialect.name == "sqlite"
        table = POSITIONS.name if sqlite else POSITIONS.fullname
        mark = "?" if sqlite else "%s"
        return fetch(connection, statement.format(table=table, mark=mark), values)


def positions_of(connection: Connection) -> dict[str, int]:
    """Read model -> the position of the last entry folded into it, of whatever version."""
    found: dict[str, int] = {}
    for together, position in connection.execute(select(POSITIONS)):
        if not isinstance(together, str) or type(position) is not int:
            continue  # SQLite takes anything; what nothing is known of is folded from the start
        for name in together.split():
            found[name] = max(position, found.get(name, -1))
    return found


def _words(error: Exception) -> str:
    found = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(f"{type(found).__name__}: {found}".split())


def _rows(connection: Connection) -> list[str]:
    rows = connection.execute(select(POSITIONS.c.read_models)).scalars()
    return [row for row in rows if isinstance(row, str)]  # SQLite takes anything


def _forget(connection: Connection, rows: Iterable[str]) -> None:
    connection.execute(delete(POSITIONS).where(POSITIONS.c.read_models.in_(list(rows))))


def _together(read_models: Iterable[ReadModel]) -> str:
    return " ".join(sorted(each.name for each in read_models))


def tables_beside(connection: Connection) -> set[str]:
    """The tables beside which read models stand, and those themselves."""
    schema = None if connection.dialect.name == "sqlite" else READ_MODELS_SCHEMA
    return set(inspect(connection).get_table_names(schema))


def _recorded(connection: Connection, position: int) -> str:
    """When the entry at this position was recorded; after all times when there is none."""
    query = select(ENTRIES.c.recorded_at).where(ENTRIES.c.position == position)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found or "9"
