"""The columns of some rows: read from the ledger once, kept apart until each is asked for.

Of many rows one column is in memory at a time. To read the ledger again for each would cost fifty
times as much as to read a column back.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

import msgspec
import numpy as np
from sqlalchemy import Connection

from app.database.scratch import scratch_file
from domain.packed import Packed, Packing, Value, Whole

_VALUES_HELD_MAX: Final = 500_000  # of columns that stay in memory together: some 5 MB

Page: TypeAlias = Sequence[list[Value]]  # some rows' values of each column
# Gives the columns of these names to a function, page by page, in the ledger's order; says where in
# that order each of the rows stands.
Read: TypeAlias = Callable[[Connection, Sequence[str], Callable[[Page], None]], Whole]


class Columns(Mapping[str, Packed]):
    """The columns of some rows, read when the first of them is asked for.

    Args:
        connect: opens a connection to read on.
        read: see `Read`.
        rows: how many there are.
        names: of the columns; a row that lacks one is missing in it.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection]],
        read: Read,
        rows: int,
        names: Sequence[str],
    ) -> None:
        self._connect, self._read = connect, read
        self._rows = rows
        self._names = list(dict.fromkeys(names))
        self._columns: Mapping[str, Packed] | None = None

    def __getitem__(self, name: str) -> Packed:
        """The column."""
        if name not in self._names:
            raise KeyError(name)
        if self._columns is None:
            self._columns = self._kept()
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is such a column; nothing is read."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Columns."""
        return len(self._names)

    def _kept(self) -> Mapping[str, Packed]:
        if self._rows * len(self._names) > _VALUES_HELD_MAX:
            apart = _Apart(self._names)
            with self._connect() as connection:
                apart.stand_at(self._read(connection, self._names, apart.add))
            return apart
        columns = {name: Packing() for name in self._names}

        def add(page: Page) -> None:
            for packing, values in zip(columns.values(), page, strict=True):
                packing.add(values)

        with self._connect() as connection:
            order = self._read(connection, self._names, add)
        return {name: packing.packed().taken(order) for name, packing in columns.items()}


class _Apart(Mapping[str, Packed]):
    """Columns in a scratch file, of which each page is one value."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tables = {name: f"column_{at}" for at, name in enumerate(names)}
        self._order: Whole | None = None
        made = (f"CREATE TABLE {table} (page BLOB)" for table in self._tables.values())
        self._file = scratch_file(*made)
        weakref.finalize(self, self._file.close)

    def add(self, page: Page) -> None:
        for table, values in zip(self._tables.values(), page, strict=True):
            content = msgspec.msgpack.encode(values)
            self._file.execute(f"INSERT INTO {table} VALUES (?)", (content,))  # noqa: S608 - ours

    def stand_at(self, order: Whole) -> None:
        if not bool(np.all(order[1:] > order[:-1])):
            self._order = order

    def __getitem__(self, name: str) -> Packed:
        packing = Packing()
        statement = f"SELECT page FROM {self._tables[name]} ORDER BY rowid"  # noqa: S608 - ours
        for (content,) in self._file.execute(statement):
            packing.add(msgspec.msgpack.decode(content))
        found = packing.packed()
        return found if self._order is None else found.taken(self._order)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)
