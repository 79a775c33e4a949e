"""RFC 6962 Merkle tree over leaf hashes: one root of 32 bytes names the whole ledger, in its order.

`leaf_hash` in `canonical.py` makes the leaves; the leaf index is the position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HASH_BYTES = 32
# What every inner node's hash begins with: to copy that takes less than to begin a hash.
_begun_node = hashlib.sha256(b"\x01").copy
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 6962, 2.1: the hash of an empty list


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 inner node: SHA-256(0x01 || left || right), 32 bytes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: bytes) -> bytes:
    """The root over 2^n hashes of 32 bytes, concatenated: a tile's, several times faster.

    >>> perfect_root(bytes(64)) == node_hash(bytes(32), bytes(32))
    True
    """
    while len(hashes) > _HASH_BYTES:
        level = []
        for at in range(0, len(hashes), 2 * _HASH_BYTES):
            node = _begun_node()
            node.update(hashes[at : at + 2 * _HASH_BYTES])
            level.append(node.digest())
        hashes = b"".join(level)
    return hashes


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: its size, and the roots of its perfect subtrees, largest first.

    There is one root per set bit of `size`, so appending needs nothing else of the tree.
    """

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def append(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after `leaves` (32-byte leaf hashes, in order)."""
        size, roots = self.size, list(self.roots)
        for leaf in leaves:
            node, carry = leaf, size
            while carry & 1:
                node = node_hash(roots.pop(), node)
                carry >>= 1
            roots.append(node)
            size += 1
        return Frontier(size, tuple(roots))

    def root(self) -> bytes:
        """The tree's root hash, 32 bytes; SHA-256 of nothing for the empty tree."""
        if not self.roots:
            return EMPTY_ROOT
        node = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            node = node_hash(left, node)
        return node


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes, 32 bytes.

    >>> root_of([]).hex()[:16]
    'e3b0c44298fc1c14'
    """
    roots, first = [], 0
    while first < len(leaves):
        end = first + (1 << (len(leaves) - first).bit_length() - 1)  # the largest that fits
        roots.append(perfect_root(b"".join(leaves[first:end])))
        first = end
    return Frontier(len(leaves), tuple(roots)).root()
