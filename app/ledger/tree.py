"""The tree over the entries in the database: full tiles and a head, grown by every append.

A tile is 256 hashes (C2SP tlog-tiles). Full tiles are stored once and never change; the right edge,
at most 255 hashes a level, is read from the level below, so a proof costs a few short reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from app.database.engine import execute, fetch, insert_rows
from app.ledger.stored_bytes import as_bytes
from app.ledger.tables import TILES
from domain.errors import UnknownThing
from domain.stored_damage import StoredDamage
from domain.tree.merkle import Frontier, perfect_root
from domain.tree.proofs import HASH_BYTES, consistency_proof, inclusion_proof, root_at

TILE_HASHES: Final = 256
TILE_HEIGHT: Final = 8  # 256 = 2^8
LEVEL_MAX: Final = 7  # 256^8 entries would be more than a position can count
_LEAVES: Final = (
    'SELECT leaf_hash FROM entries WHERE "position" >= {0} AND "position" < {0} ORDER BY "position"'
)
_ROOTS: Final = (
    "SELECT root FROM tiles WHERE level = {0} AND number >= {0} AND number < {0} ORDER BY number"
)
_HEAD: Final = "UPDATE ledger_head SET size = {0}, frontier = {0}"
_TILE: Final = "SELECT bytes FROM tiles WHERE level = {0} AND number = {0}"


def read_head(connection: Connection) -> Frontier:
    """Size and right edge of the tree, as the last append left it.

    Raises:
        LedgerDamaged: there is no head, or it does not hold one hash for each set bit of its size.
    """
    rows = fetch(connection, "SELECT size, frontier FROM ledger_head")
    size, frontier = rows[0] if len(rows) == 1 else (-1, b"")
    if (
        type(size) is not int  # SQLite takes anything
        or not isinstance(frontier, bytes)
        or size < 0
        or len(frontier) != size.bit_count() * HASH_BYTES
    ):
        raise StoredDamage(
            "the head of the ledger's tree is missing or not what its size says. Stop writing; "
            "run `whyledger verify`."
        )
    return Frontier(size, tuple(_split(frontier)))


def grow(connection: Connection, first: int, leaves: Sequence[bytes]) -> Frontier:
    """Add the leaf hashes of the entries from position `first` on; under the ledger's lock.

    Raises:
        LedgerDamaged: the tree has another size than the entries: somebody removed or added some
            behind our back.
    """
    tree = read_head(connection)
    if tree.size != first:
        raise StoredDamage(
            f"the ledger has {first} entries and its tree {tree.size}: entries were removed or "
            "added behind its back. Stop writing; run `whyledger verify`."
        )
    insert_rows(connection, TILES, _filled_tiles(connection, first, leaves))
    grown = tree.append(leaves)
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    execute(connection, _HEAD.format(mark), (grown.size, b"".join(grown.roots)))
    return grown


class StoredTree:
    """The tree of the first `size` entries, read on one connection; a tile is read at most once.

    Args:
        connection: must not be used by another thread meanwhile.
        size: entries, at most what the ledger holds.
    """

    def __init__(self, connection: Connection, size: int) -> None:
        self.size = size
        self._connection = connection
        self._mark = "?" if connection.dialect.name == "sqlite" else "%s"
        self._tiles: dict[tuple[int, int], bytes] = {}

    def root(self) -> bytes:
        """The root over the first `size` entries, 32 bytes."""
        return root_at(self.size, self.node)

    def inclusion(self, position: int) -> tuple[bytes, ...]:
        """The proof that the entry at `position` is in this tree. Raises RequestInvalid."""
        return inclusion_proof(position, self.size, self.node)

    def consistency(self, earlier: int) -> tuple[bytes, ...]:
        """The proof that this tree extends the one of `earlier` entries. Raises RequestInvalid."""
        return consistency_proof(earlier, self.size, self.node)

    def node(self, level: int, index: int) -> bytes:
        """The hash over leaves `index` << `level` to (`index` + 1) << `level`, 32 bytes."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        tile = self.tile(tile_level, first // TILE_HASHES)
        start = first % TILE_HASHES * HASH_BYTES
        hashes = tile[start : start + (HASH_BYTES << height)]
        if len(hashes) != HASH_BYTES << height:
            raise StoredDamage(
                f"tile {tile_level}/{first // TILE_HASHES} ends before its hash "
                f"{first % TILE_HASHES + (1 << height) - 1}. Run `whyledger verify`."
            )
        return perfect_root(hashes)

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, concatenated: 8,192 bytes, fewer at the right edge.

        Raises:
            UnknownThing: the tree of this size has no such tile.
            LedgerDamaged: a full tile is missing.
        """
        found = self._tiles.get((level, number))
        if found is None:
            found = self._tiles[(level, number)] = self._read(level, number)
        return found

    def _read(self, level: int, number: int) -> bytes:
        hashes = self.size >> TILE_HEIGHT * level if level <= LEVEL_MAX else 0  # at this level
        first, end = number * TILE_HASHES, min((number + 1) * TILE_HASHES, hashes)
        if number < 0 or first >= end:
            raise UnknownThing(
                f"a tree of {self.size} entries has no tile {level}/{number}. Level {level} has "
                f"{-(-hashes // TILE_HASHES)} tiles; ask for one of those, counted from 0."
            )
        if end - first == TILE_HASHES:
            found = b"".join(self._column(_TILE, level, number))
        else:
            found = b"".join(_below(self._connection, self._mark, level, first, end))
        if len(found) != (end - first) * HASH_BYTES:
            raise StoredDamage(
                f"tile {level}/{number} holds {len(found)} bytes, not "
                f"{(end - first) * HASH_BYTES}. Stop writing; run `whyledger verify`."
            )
        return found

    def _column(self, statement: str, *values: int) -> list[bytes]:
        return _column(self._connection, statement.format(self._mark), *values)


def _filled_tiles(
    connection: Connection, first: int, leaves: Sequence[bytes]
) -> list[tuple[object, ...]]:
    """Rows of the tiles that `leaves` (from position `first`) fill, level by level."""
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    rows: list[tuple[object, ...]] = []
    level, fresh = 0, list(leaves)
    while (first + len(fresh)) // TILE_HASHES > first // TILE_HASHES:
        start = first - first % TILE_HASHES
        hashes = _below(connection, mark, level, start, first) + fresh
        fresh = []
        for offset in range(0, len(hashes) - TILE_HASHES + 1, TILE_HASHES):
            tile = b"".join(hashes[offset : offset + TILE_HASHES])
            fresh.append(perfect_root(tile))
            rows.append((level, (start + offset) // TILE_HASHES, fresh[-1], tile))
        level, first = level + 1, start // TILE_HASHES
    return rows


def _below(connection: Connection, mark: str, level: int, first: int, end: int) -> list[bytes]:
    """The hashes [first, end) of a level: leaf hashes of entries, or roots of tiles below."""
    if first == end:
        return []
    if level == 0:
        return _column(connection, _LEAVES.format(mark), first, end)
    return _column(connection, _ROOTS.format(mark), level - 1, first, end)


def _column(connection: Connection, statement: str, *values: int) -> list[bytes]:
    # The driver's own statement: building one costs more than running it.
    rows = fetch(connection, statement, values)
    return [as_bytes(row[0], "a hash of the ledger's tree") for row in rows]


def _split(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
