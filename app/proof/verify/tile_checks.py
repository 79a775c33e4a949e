"""Checks of the stored tiles against the leaf hashes they must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from app.ledger.tree import TILE_HASHES
from app.proof.verify.breaks import Break
from domain.tree.merkle import Frontier, perfect_root
from domain.tree.proofs import HASH_BYTES

_TILE: Final = "SELECT root, bytes FROM tiles WHERE level = {0} AND number = {0}"


class TileChecks:
    """Takes the leaf hashes in order and keeps which tiles are not what they must be.

    It is also the tree over them: hashing each tile once serves both.

    Args:
        connection: where the tiles are looked up.
        stored: whether there are any; an older schema has none, and the tree alone is made.
    """

    def __init__(self, connection: Connection, *, stored: bool = True) -> None:
        self._stored = stored
        self.size = 0  # leaf hashes so far
        self._connection = connection
        self._statement = _TILE.format("?" if connection.dialect.name == "sqlite" else "%s")
        self._levels = [_Level()]
        self._breaks: list[Break] = []

    def add(self, leaves: Sequence[bytes]) -> None:
        """Add the next leaf hashes; every tile they fill is compared with the stored one."""
        self.size += len(leaves)
        self._add(0, leaves)

    def tree(self) -> Frontier:
        """The tree over all leaf hashes so far."""
        # A tile is 2^8 wide, so each level's unfinished hashes are eight bits of the size.
        roots = [root for level in reversed(self._levels) for root in level.edge().roots]
        return Frontier(self.size, tuple(roots))

    def breaks(self) -> list[Break]:
        """What is wrong with the stored tiles."""
        if not self._stored:
            return []
        stored = self._connection.exec_driver_sql("SELECT count(*) FROM tiles").scalar_one()
        expected = sum(level.filled for level in self._levels)
        found = list(self._breaks)
        if stored > expected:
            found.append(Break(self.size, "the tiles", f"{expected} full ones", str(stored)))
        return found

    def _add(self, number: int, hashes: Sequence[bytes]) -> None:
        level = self._levels[number]
        level.unfinished += hashes
        roots = []
        for first in range(0, len(level.unfinished) - TILE_HASHES + 1, TILE_HASHES):
            tile = b"".join(level.unfinished[first : first + TILE_HASHES])
            roots.append(perfect_root(tile))
            if self._stored:
                self._compare(number, level.filled, tile, roots[-1])
            level.filled += 1
        if roots:
            level.start_over(len(roots) * TILE_HASHES)
            if number + 1 == len(self._levels):
                self._levels.append(_Level())
            self._add(number + 1, roots)

    def _compare(self, level: int, number: int, hashes: bytes, root: bytes) -> None:
        row = self._connection.exec_driver_sql(self._statement, (level, number)).one_or_none()
        if row is None:
            stored_root, stored = b"", b""
        else:
            stored_root, stored = bytes(row[0]), bytes(row[1])
        if (stored_root, stored) == (root, hashes):
            return
        differing = next(
            at
            for at in range(TILE_HASHES + 1)
            if hashes[at * HASH_BYTES :][:HASH_BYTES] != stored[at * HASH_BYTES :][:HASH_BYTES]
            or at == TILE_HASHES
        )
        position = (number * TILE_HASHES + differing % TILE_HASHES) * TILE_HASHES**level
        found = "no such tile" if row is None else f"one with the root {stored_root.hex()}"
        self._breaks.append(Break(position, f"tile {level}/{number}", f"root {root.hex()}", found))


class _Level:
    """The hashes of one level that fill no tile yet, and how many tiles are full."""

    def __init__(self) -> None:
        self.unfinished: list[bytes] = []
        self.filled = 0
        self._edge = Frontier()  # over the first hashes of `unfinished`; the rest when asked

    def edge(self) -> Frontier:
        self._edge = self._edge.append(self.unfinished[self._edge.size :])
        return self._edge

    def start_over(self, done: int) -> None:
        del self.unfinished[:done]
        self._edge = Frontier()
