"""Whether an entry's stored bytes are those that were hashed: asked by whoever reads them."""

from __future__ import annotations

from domain.canonical import leaf_hash
from domain.stored_damage import StoredDamage

Column = bytes | memoryview | str | int | float | None  # whatever SQLite took for bytes


def whole(position: int, stored: Column, stored_hash: Column) -> bytes:
    """The bytes of the entry at `position`, when they hash to the leaf that stands beside them.

    SQLite takes text where bytes should stand; that is damage too.

    Raises:
        StoredDamage: they do not.
    """
    content, said = _as_bytes(position, "bytes", stored), _as_bytes(position, "hash", stored_hash)
    found = leaf_hash(content)
    if found != said:
        raise StoredDamage(
            f"ledger entry {position}: the stored bytes hash to {found.hex()}, "
            f"the entry says {said.hex()}. Stop writing; compare with a back-up.",
            position,
        )
    return content


def _as_bytes(position: int, name: str, value: Column) -> bytes:
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    raise StoredDamage(
        f"ledger entry {position}: its stored {name} are {type(value).__name__}, not bytes. "
        "Stop writing; compare with a back-up.",
        position,
    )
