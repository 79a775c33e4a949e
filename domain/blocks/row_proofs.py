"""The proof that one row is in an entry: from its leaf to the root in the hashed envelope.

It shows no other row: what stands beside it on the way is a hash over a salt that nobody was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from domain.blocks.layouts import LAYOUTS
from domain.canonical import canonical_bytes, leaf_hash
from domain.errors import NotCanonical, ProofInvalid
from domain.tree.merkle import node_hash
from domain.tree.proofs import HASH_BYTES, inclusion_proof, root_at, verify_inclusion

_NOT_OF_A_BLOCK: Final = "the envelope is none of many rows; nothing is shown."


class RowTree:
    """The tree over a block's leaf hashes, with every perfect subtree: for many proofs of it."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            pairs = range(0, len(below) - 1, 2)
            self._levels.append([node_hash(below[at], below[at + 1]) for at in pairs])

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        return root_at(len(self._levels[0]), self._node)

    def proof(self, row: int) -> tuple[bytes, ...]:
        """The hashes (32 bytes each) that lead from the row's leaf to the root.

        Raises:
            RequestInvalid: there is no such row.
        """
        return inclusion_proof(row, len(self._levels[0]), self._node)

    def _node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]


def check_row_proof(
    envelope: bytes, *, row: int, salt: bytes, content: bytes, proof: Sequence[bytes]
) -> bytes:
    """Accept that the line `content` is row `row` of the entry with the hashed bytes `envelope`.

    How many rows there are the envelope says, never who shows the proof: row 1 of 3 would pass as
    row 1 of 4.

    Returns:
        The entry's leaf hash, 32 bytes, to go on from to a signed root.

    Raises:
        ProofInvalid: it is not; the message says why.
    """
    data = _data(envelope)
    rows, root = data.get("rows"), data.get("rows_root")
    if type(rows) is not int or type(root) is not str or len(root) != 2 * HASH_BYTES:
        raise ProofInvalid(_NOT_OF_A_BLOCK)
    try:
        expected = bytes.fromhex(root)
    except ValueError:
        raise ProofInvalid(_NOT_OF_A_BLOCK) from None
    verify_inclusion(leaf_hash(salt + content), row, rows, proof, expected)
    return leaf_hash(envelope)


def _data(envelope: bytes) -> dict[str, Any]:
    """The data of a block's envelope. Raises ProofInvalid: it is none, or not the one writing."""
    try:
        said = orjson.loads(envelope)
        one_writing = canonical_bytes(said) == envelope  # a name that stands twice has two meanings
    except (ValueError, NotCanonical):
        one_writing = False
    if not one_writing:
        raise ProofInvalid("the envelope is no canonical JSON; nothing is shown.")
    if type(said) is not dict or (said.get("type"), said.get("schema")) not in LAYOUTS:
        raise ProofInvalid(_NOT_OF_A_BLOCK)
    data = said.get("data")
    return data if type(data) is dict else {}
