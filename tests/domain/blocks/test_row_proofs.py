"""A path leads one row to its block's root: at its own index and size, and at no other."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

from domain.blocks.block import block_of
from domain.blocks.row_proofs import RowTree, check_row_proof
from domain.canonical import canonical_bytes, leaf_hash
from domain.errors import ProofInvalid, RequestInvalid
from domain.tree.merkle import root_of
from domain.tree.proofs import verify_inclusion

EVERY_INDEX_MAX = 257  # above it every neighbour, every index that differs in a bit, and some more


@pytest.mark.parametrize("size", [2, 3, 255, 256, 257, 1_000, 10_000])
def test_every_path_verifies_at_its_index_and_at_no_other(size: int) -> None:
    leaves = [hashlib.sha256(number.to_bytes(2, "big")).digest() for number in range(size)]
    tree, root = RowTree(leaves), root_of(leaves)
    draw = random.Random(size)

    assert tree.root == root
    for row, leaf in enumerate(leaves):
        proof = tree.proof(row)
        verify_inclusion(leaf, row, size, proof, root)
        if size <= EVERY_INDEX_MAX:
            others = set(range(size + 1))
        elif row % 20 == 0 or row > size - 20:
            bits = {row ^ 1 << bit for bit in range(14)}
            others = bits | {row - 1, row + 1, size, draw.randrange(size)}
        else:
            others = {draw.randrange(size)}
        for other in others - {row}:
            with pytest.raises(ProofInvalid):
                verify_inclusion(leaf, other, size, proof, root)


def test_no_row_behind_the_last_has_a_path() -> None:
    with pytest.raises(RequestInvalid, match="position 2 is not in a tree of size 2"):
        RowTree([bytes(32), bytes(32)]).proof(2)


LINES = [b"[1]", b"[2]", b"[3]"]
BLOCK = block_of(LINES, bytes(range(48)))
PATH = RowTree(BLOCK.leaves()).proof(1)


def envelope(**said: Any) -> bytes:
    data = {"rows": 3, "rows_root": BLOCK.root().hex()} | said.pop("data", {})
    made = {"type": "predictions.predictions-made", "schema": 1, "data": data}
    return canonical_bytes(made | said)


def shown(content: bytes = envelope(), **said: Any) -> bytes:
    usual: dict[str, Any] = {"row": 1, "salt": BLOCK.salt(1), "content": LINES[1], "proof": PATH}
    return check_row_proof(content, **(usual | said))


def test_a_row_is_proven_up_to_the_leaf_of_its_entry() -> None:
    assert shown() == leaf_hash(envelope())


@pytest.mark.parametrize(
    "said",
    [
        {"row": 0},
        {"row": 2},
        {"row": 3},
        {"row": -1},
        {"salt": BLOCK.salt(0)},
        {"content": LINES[0]},
        {"content": b"[2.0]"},
        {"proof": PATH[:-1]},
        {"proof": PATH[::-1]},
        {"proof": (*PATH, bytes(32))},
    ],
)
def test_nothing_but_the_row_itself_at_its_index_is_proven(said: dict[str, Any]) -> None:
    with pytest.raises(ProofInvalid):
        shown(**said)


def test_the_envelope_says_how_many_rows_there_are() -> None:
    # Its path is the same in a tree of four, so who shows the proof may not choose the size.
    verify_inclusion(BLOCK.leaves()[1], 1, 4, PATH, BLOCK.root())
    assert shown(envelope(data={"rows": 4})) != shown()  # it is another envelope, with another leaf


@pytest.mark.parametrize(
    "content",
    [
        b"no JSON",
        b'{"type":"predictions.predictions-made","schema":1}',  # not as RFC 8785 orders it
        b'{"type":"a","type":"a"}',
        b"[]",
        b"{}",
        b"[1e400]",
        envelope(type="predictions.prediction-made"),
        envelope(schema=99),
        canonical_bytes({"data": [], "schema": 1, "type": "predictions.predictions-made"}),
        envelope(data={"rows": "3"}),
        envelope(data={"rows_root": None}),
        envelope(data={"rows_root": "ab"}),
        envelope(data={"rows_root": "zz" * 32}),
        envelope(data={"rows_root": "00" * 32}),
    ],
)
def test_an_envelope_that_is_none_of_many_rows_shows_nothing(content: bytes) -> None:
    with pytest.raises(ProofInvalid):
        shown(content)
