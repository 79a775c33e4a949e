"""Checks of the stored tiles against the leaf hashes they must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from app.ledger.findings import Break
from app.ledger.tree import TILE_HASHES
from domain.merkle import root_of
from domain.proofs import HASH_BYTES

_TILE: Final = "SELECT root, bytes FROM tiles WHERE level = {0} AND number = {0}"


class TileChecks:
    """Takes the leaf hashes in order and keeps which tiles are not what they must be.

    Args:
        connection: where the tiles are looked up.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._statement = _TILE.format("?" if connection.dialect.name == "sqlite" else "%s")
        self._unfinished: list[list[bytes]] = [[]]  # by level
        self._filled = [0]  # by level
        self._breaks: list[Break] = []

    def add(self, leaves: Sequence[bytes]) -> None:
        """Add the next leaf hashes; every tile they fill is compared with the stored one."""
        self._add(0, leaves)

    def breaks(self, size: int) -> list[Break]:
        """What is wrong with the tiles of a tree of `size` entries."""
        stored = self._connection.exec_driver_sql("SELECT count(*) FROM tiles").scalar_one()
        expected = sum(self._filled)
        found = list(self._breaks)
        if stored > expected:
            found.append(Break(size, "the tiles", f"{expected} full ones", str(stored)))
        return found

    def _add(self, level: int, hashes: Sequence[bytes]) -> None:
        unfinished = self._unfinished[level]
        unfinished += hashes
        roots = []
        while len(unfinished) >= TILE_HASHES:
            tile = unfinished[:TILE_HASHES]
            del unfinished[:TILE_HASHES]
            roots.append(root_of(tile))
            self._compare(level, self._filled[level], b"".join(tile), roots[-1])
            self._filled[level] += 1
        if roots:
            if level + 1 == len(self._unfinished):
                self._unfinished.append([])
                self._filled.append(0)
            self._add(level + 1, roots)

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
