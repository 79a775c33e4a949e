"""Nothing is handed out that the tree's head does not vouch for, whatever the stored tiles say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.ledger.proven_tree import ProvenTree
from app.ledger.store import Ledger
from domain.canonical import leaf_hash
from domain.errors import LedgerDamaged, UnknownThing
from domain.tree.merkle import root_of
from domain.tree.proofs import HASH_BYTES, verify_consistency, verify_inclusion
from tests.app.proof.forger import change
from tests.ledger_events import put, refused

SIZE = 600  # two full tiles and a right edge
POSITION = 7


@pytest.fixture
def leaves(ledger: Ledger) -> list[bytes]:
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(SIZE - ledger.size())])
    return ledger.leaf_hashes(0, SIZE - 1)


def test_roots_proofs_and_tiles_are_those_of_the_entries(
    ledger: Ledger, leaves: list[bytes]
) -> None:
    assert leaves[POSITION] == leaf_hash(ledger.stored_bytes(POSITION, POSITION)[0])
    with ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        for size in (8, 255, 256, 257, 512, 513, SIZE):
            root = root_of(leaves[:size])
            assert tree.root(size) == root
            proof = tree.inclusion(leaves[POSITION], POSITION, size)
            verify_inclusion(leaves[POSITION], POSITION, size, proof, root)
            shown = tree.consistency(size, 520 if size < SIZE else SIZE)
            verify_consistency(size, 520 if size < SIZE else SIZE, *shown)
        for number, width in ((0, 256), (1, 256), (1, 3), (2, 1), (2, 88)):
            first = number * 256
            assert tree.tile(0, number, width) == b"".join(leaves[first : first + width])
        assert tree.tile(1, 0, 2) == root_of(leaves[:256]) + root_of(leaves[256:512])
        with pytest.raises(UnknownThing, match="tile 0/2 is 88 hashes wide, not 89"):
            tree.tile(0, 2, 89)


LIES = {
    "every hash of a tile": bytes(256 * HASH_BYTES),
    "its first hash": bytes(HASH_BYTES),
}
ASKED: dict[str, Callable[[ProvenTree, bytes], object]] = {
    "the tile": lambda tree, leaf: tree.tile(0, 0, 256),
    "the first hash of the tile": lambda tree, leaf: tree.tile(0, 0, 1),
    "the root of a smaller tree": lambda tree, leaf: tree.root(10),
    "a proof in a smaller tree": lambda tree, leaf: tree.inclusion(leaf, POSITION, 300),
    "that a tree extends another": lambda tree, leaf: tree.consistency(10, 300),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("lie", LIES)
def test_a_lying_tile_is_damage_whatever_is_asked(
    ledger: Ledger, leaves: list[bytes], lie: str, asked: str
) -> None:
    right = b"".join(leaves[:256])
    content = LIES[lie] + right[len(LIES[lie]) :]
    change(ledger, "UPDATE tiles SET bytes = :content WHERE number = 0", content=content)
    with ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        with pytest.raises(LedgerDamaged, match="do not lead to the root of the tree of 600"):
            ASKED[asked](tree, leaves[POSITION])


def test_a_lie_about_a_tile_s_root_is_damage_in_the_tile_above_it(
    ledger: Ledger, leaves: list[bytes]
) -> None:
    change(ledger, "UPDATE tiles SET root = :content WHERE number = 1", content=bytes(HASH_BYTES))
    with ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        with pytest.raises(LedgerDamaged, match="tile 1/0: the stored tiles do not lead"):
            tree.tile(1, 0, 1)
