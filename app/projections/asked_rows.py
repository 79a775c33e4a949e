"""Asking a read model about many rows at once, by their digests: one statement, a seek for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Table

from app.database.engine import driver_name, fetch

_ROWS_PER_STATEMENT: Final = 500


class AskedRows:
    """A statement that begins with the rows that are asked about, in the drivers' own words.

    One statement however many rows, for building it costs more than running it. What it says of a
    row must be found by seeks: somebody may have one predicted, or labelled, a million times.

    Args:
        statement: what follows `WITH asked(digest) AS (…)`, with `{mark}` for each further value
            and `{name}` for a table.
        first: what stands before `asked`: `RECURSIVE`, or nothing.
        tables: by the names that the statement has for them.
    """

    def __init__(self, statement: str, *, first: str = "", **tables: Table) -> None:
        said = f"WITH {first} asked(digest) AS ({{asked}}){statement}"
        sqlite = {name: driver_name(table, "sqlite") for name, table in tables.items()}
        marks = ", ".join(["(?)"] * _ROWS_PER_STATEMENT)
        self._sqlite = said.format(asked=f"VALUES {marks}", mark="?", **sqlite)
        postgresql = {name: driver_name(table, "postgresql") for name, table in tables.items()}
        self._postgresql = said.format(asked="SELECT unnest(%s::bytea[])", mark="%s", **postgresql)

    def __call__(
        self, connection: Connection, digests: Iterable[bytes], *further: object
    ) -> Iterator[tuple[Any, ...]]:
        """What it says of the rows with these digests (`row_digest`), of each once."""
        sqlite, rows = connection.dialect.name == "sqlite", list(dict.fromkeys(digests))
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            some = rows[start : start + _ROWS_PER_STATEMENT]
            if sqlite:  # always as many, so that the driver keeps the statement prepared
                some += [b""] * (_ROWS_PER_STATEMENT - len(some))
                yield from fetch(connection, self._sqlite, (*some, *further))
            else:
                yield from fetch(connection, self._postgresql, (some, *further))
