"""Roots, proofs and tiles, each shown to lead to the tree's head: for those who hand them on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection

from app.ledger.tree import TILE_HASHES, TILE_HEIGHT, StoredTree, read_head
from domain.errors import ProofInvalid, UnknownThing
from domain.stored_damage import StoredDamage
from domain.tree.merkle import perfect_root
from domain.tree.proofs import (
    HASH_BYTES,
    consistency_proof,
    inclusion_proof,
    perfect_subtrees,
    root_at,
    verify_consistency,
    verify_inclusion,
)


class Consistency(NamedTuple):
    """Two trees, and the hashes that show the later to extend the earlier."""

    earlier_root: bytes
    later_root: bytes
    proof: tuple[bytes, ...]


class ProvenTree:
    """The tree of all entries at one moment. What it gives leads to the root of the head.

    A stored tile is believed by nobody: somebody who owns the database may have written it.

    Args:
        connection: must not be used by another thread meanwhile.

    Raises:
        StoredDamage: there is no head that fits its size.
    """

    def __init__(self, connection: Connection) -> None:
        head = read_head(connection)
        self.size = head.size
        self._root = head.root()
        self._stored = StoredTree(connection, head.size)

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries, 1 to all of them.

        Raises:
            StoredDamage: the stored tiles do not lead to the head.
        """
        if size == self.size:
            return self._root
        root = root_at(size, self._stored.node)
        with self._damage(f"the root of the first {size} entries"):
            proof = consistency_proof(size, self.size, self._stored.node)
            verify_consistency(size, self.size, root, self._root, proof)
        return root

    def inclusion(self, leaf: bytes, position: int, size: int) -> tuple[bytes, ...]:
        """The proof that the leaf hash `leaf` stands at `position` of the first `size` entries.

        Raises:
            RequestInvalid: `position` is not within them.
            StoredDamage: it does not, or the stored tiles do not lead to the head.
        """
        proof = inclusion_proof(position, size, self._stored.node)
        root = self.root(size)
        with self._damage(f"ledger entry {position}", position):
            verify_inclusion(leaf, position, size, proof, root)
        return proof

    def consistency(self, earlier: int, later: int) -> Consistency:
        """The proof that the first `later` entries begin with the first `earlier` ones.

        Raises:
            RequestInvalid: not 1 <= earlier <= later.
            StoredDamage: the stored tiles do not lead to the head.
        """
        proof = consistency_proof(earlier, later, self._stored.node)
        found = Consistency(self.root(earlier), self.root(later), proof)
        with self._damage(f"the proof from {earlier} to {later} entries"):
            verify_consistency(earlier, later, found.earlier_root, found.later_root, proof)
        return found

    def extends(self, earlier: int) -> tuple[bytes, ...]:
        """The proof that all entries begin with the first `earlier` ones; as `consistency`."""
        return self.consistency(earlier, self.size).proof

    def tile(self, level: int, number: int, width: int) -> bytes:
        """The first `width` hashes of a tile, concatenated; every hash in it leads to the head.

        Raises:
            UnknownThing: the tree has no such tile, or not so wide.
            StoredDamage: a hash in it does not.
        """
        hashes = self._stored.tile(level, number)
        there = len(hashes) // HASH_BYTES
        if width > there:
            raise UnknownThing(
                f"tile {level}/{number} is {there} hashes wide, not {width}. Ask for so many, or "
                "again when the ledger has grown."
            )
        first = number * TILE_HASHES
        for height, index in perfect_subtrees(first, first + there):
            start = ((index << height) - first) * HASH_BYTES
            root = perfect_root(hashes[start : start + (HASH_BYTES << height)])
            self._check_node(level * TILE_HEIGHT + height, index, root, f"tile {level}/{number}")
        return hashes[: width * HASH_BYTES]

    def _check_node(self, height: int, index: int, root: bytes, what: str) -> None:
        """Accept `root` over the leaves `index` << `height` and on, or raise StoredDamage.

        A perfect subtree is a leaf of the tree that begins `height` levels further up.
        """
        with self._damage(what):
            proof = inclusion_proof(index << height, self.size, self._stored.node)[height:]
            above = ((self.size - 1) >> height) + 1
            verify_inclusion(root, index, above, proof, self._root)

    @contextmanager
    def _damage(self, what: str, position: int | None = None) -> Iterator[None]:
        try:
            yield
        except ProofInvalid as error:
            raise StoredDamage(
                f"{what}: the stored tiles do not lead to the root of the tree of {self.size} "
                f"entries. Run `whyledger verify`. {error.message}",
                position,
            ) from error
