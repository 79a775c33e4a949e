"""What is stored as bytes: whether it is bytes, and an entry's those that were hashed."""

from __future__ import annotations

from domain.canonical import leaf_hash
from domain.stored_damage import StoredDamage

Column = bytes | memoryview | str | int | float | None  # whatever SQLite took for bytes


def whole(position: int, stored: Column, stored_hash: Column) -> bytes:
    """The bytes of the entry at `position`, when they hash to the leaf that stands beside them.

    Raises:
        StoredDamage: they do not.
    """
    if type(stored) is bytes and leaf_hash(stored) == stored_hash:
        return stored
    content = as_bytes(stored, "its stored bytes", position)
    said = as_bytes(stored_hash, "its stored hash", position)
    found = leaf_hash(content)
    if found != said:
        raise StoredDamage(
            f"ledger entry {position}: the stored bytes hash to {found.hex()}, "
            f"the entry says {said.hex()}. Stop writing; compare with a back-up.",
            position,
        )
    return content


def as_bytes(value: Column, name: str, position: int | None = None) -> bytes:
    """A column that holds bytes. SQLite takes anything there; of a number `bytes` would make zeros.

    Raises:
        StoredDamage: it is something else.
    """
    if type(value) is bytes:
        return value
    if isinstance(value, memoryview):
        return bytes(value)
    entry = "" if position is None else f"ledger entry {position}: "
    raise StoredDamage(
        f"{entry}{name} should be bytes and is of type {type(value).__name__}. Stop writing; "
        "compare with a back-up.",
        position,
    )
