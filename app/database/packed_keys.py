"""Many keys of 16 bytes for one statement, as one value of SQLite: ids of rows, and digests.

A mark for each key would cost SQLite's driver more than the seek for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from sqlalchemy import Connection

KEY_BYTES: Final = 16
_EACH: Final = {
    "sqlite": f"substr(?, 1 + {KEY_BYTES} * each.key, {KEY_BYTES}) AS key, each.key AS number"
    " FROM json_each(?) AS each",
    "postgresql": "key, number - 1 AS number"
    " FROM unnest(%s::bytea[]) WITH ORDINALITY AS each(key, number)",
}


def each_key(dialect: str) -> str:
    """SQL for a table of the keys in their order: `key` and its `number`, from 0."""
    return f"(SELECT {_EACH[dialect]})"


def keys_as_values(connection: Connection, keys: bytes) -> tuple[object, ...]:
    """What a statement with `each_key` is given in its place.

    Args:
        connection: which the statement is for.
        keys: one behind the other.
    """
    if connection.dialect.name == "sqlite":
        return keys, _numbered(len(keys) // KEY_BYTES)
    return ([keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)],)


@lru_cache
def _numbered(count: int) -> str:
    """A JSON array of so many values, whatever they are."""
    return f"[{','.join('0' * count)}]"
