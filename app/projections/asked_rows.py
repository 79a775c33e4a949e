"""Asking a read model about many rows at once, by their digests: one statement, a seek for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Connection, Table

from app.database.engine import driver_name, fetch
from app.database.many_values import each_key, joined_keys, keys_as_values

_ROWS_PER_STATEMENT: Final = 1_000


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
        self._said = {
            dialect: f"WITH {first} asked(digest) AS (SELECT key FROM {each_key(dialect)} AS each)"  # noqa: S608 - our own names
            + statement.format(
                mark=mark, **{name: driver_name(table, dialect) for name, table in tables.items()}
            )
            for dialect, mark in (("sqlite", "?"), ("postgresql", "%s"))
        }

    def __call__(
        self, connection: Connection, digests: Iterable[bytes], *further: object
    ) -> Iterator[tuple[Any, ...]]:
        """What it says of the rows with these digests (`row_digest`), of each once."""
        said, rows = self._said[connection.dialect.name], list(dict.fromkeys(digests))
        for start in range(0, len(rows), _ROWS_PER_STATEMENT):
            keys = joined_keys(rows[start : start + _ROWS_PER_STATEMENT])
            some = keys_as_values(connection, keys)
            yield from fetch(connection, said, (*some, *further))
