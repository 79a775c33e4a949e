"""Many values for one statement as one: a mark for each would cost SQLite's driver more than its
seek, and there may be more values than marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import orjson
from sqlalchemy import Connection

KEY_BYTES: Final = 16  # of ids of rows, and of their digests
_AMONG: Final = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(%s)"}
_EACH: Final = {
    "sqlite": f"substr(?, 1 + {KEY_BYTES} * each.key, {KEY_BYTES}) AS key, each.key AS number"
    " FROM json_each(?) AS each",
    "postgresql": "key, number - 1 AS number"
    " FROM unnest(%s::bytea[]) WITH ORDINALITY AS each(key, number)",
}


def among(dialect: str) -> str:
    """SQL that stands behind a column: whether it is one of some texts, or of some numbers."""
    return _AMONG[dialect]


def among_values(connection: Connection, values: Sequence[str] | Sequence[int]) -> tuple[object]:
    """What a statement with `among` is given in its place."""
    if connection.dialect.name == "sqlite":
        return (orjson.dumps([*values]).decode(),)
    return ([*values],)


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


def joined_keys(keys: Sequence[bytes]) -> bytes:
    """The keys one behind the other.

    Raises:
        ValueError: one has other bytes than a key, and would shift those behind it.
    """
    if not {*map(len, keys)} <= {KEY_BYTES}:
        raise ValueError(f"a key has not {KEY_BYTES} bytes")
    return b"".join(keys)


@lru_cache
def _numbered(count: int) -> str:
    """A JSON array of so many values, whatever they are."""
    return f"[{','.join('0' * count)}]"
