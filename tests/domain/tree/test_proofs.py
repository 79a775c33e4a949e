"""Proofs are RFC 6962's: the published ones are accepted, every corruption of them is not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import data as drawn
from hypothesis.strategies import integers

from domain.errors import ProofInvalid, RequestInvalid
from domain.tree.merkle import EMPTY_ROOT, node_hash, root_of
from domain.tree.proofs import (
    NodeSource,
    consistency_proof,
    inclusion_proof,
    perfect_subtrees,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from tests.repository import REPOSITORY

# Trees, positions and sizes of Certificate Transparency's test data; `accepted` is the verdict.
VECTORS = sorted((REPOSITORY / "tests" / "vectors" / "merkle").glob("*.json"))
LEAVES = [hashlib.sha256(b"\x00" + bytes([number])).digest() for number in range(130)]


def source(leaves: list[bytes]) -> NodeSource:
    """Every node from the definition, leaf by leaf; outside the tree there is none."""

    def node(level: int, index: int) -> bytes:
        assert (index + 1) << level <= len(leaves), "a node outside the tree was asked for"
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def verify(vector: dict[str, Any]) -> None:
    def hashes(name: str) -> bytes:
        return bytes.fromhex(vector[name])

    proof = [bytes.fromhex(each) for each in vector["proof"]]
    if vector["kind"] == "inclusion":
        verify_inclusion(hashes("leaf"), vector["position"], vector["size"], proof, hashes("root"))
    else:
        verify_consistency(
            vector["earlier"],
            vector["later"],
            hashes("earlier_root"),
            hashes("later_root"),
            proof,
        )


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_vector_gets_its_verdict(path: Path) -> None:
    vector = json.loads(path.read_text())
    if vector["accepted"]:
        verify(vector)
    else:
        with pytest.raises(ProofInvalid):
            verify(vector)


def test_there_are_vectors_of_both_verdicts_and_kinds() -> None:
    seen = {(v["kind"], v["accepted"]) for v in (json.loads(p.read_text()) for p in VECTORS)}
    assert len(seen) == 4


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_published_proofs_come_out(path: Path) -> None:
    vector = json.loads(path.read_text())
    inputs = "|00|10|2021|3031|40414243|5051525354555657|606162636465666768696a6b6c6d6e6f"
    node = source(
        [hashlib.sha256(b"\x00" + bytes.fromhex(each)).digest() for each in inputs.split("|")]
    )
    if vector["accepted"]:
        made = (
            inclusion_proof(vector["position"], vector["size"], node)
            if vector["kind"] == "inclusion"
            else consistency_proof(vector["earlier"], vector["later"], node)
        )
        assert [each.hex() for each in made] == vector["proof"]


def naive_path(position: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if position < split:
        return [*naive_path(position, leaves[:split]), root_of(leaves[split:])]
    return [*naive_path(position - split, leaves[split:]), root_of(leaves[:split])]


def naive_subproof(earlier: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if earlier == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if earlier <= split:
        return [*naive_subproof(earlier, leaves[:split], whole), root_of(leaves[split:])]
    return [*naive_subproof(earlier - split, leaves[split:], False), root_of(leaves[:split])]


@given(integers(1, len(LEAVES)), drawn())
def test_an_inclusion_proof_is_the_definitions_and_verifies(size: int, draw: Any) -> None:
    position = draw.draw(integers(0, size - 1))
    proof = inclusion_proof(position, size, source(LEAVES[:size]))
    assert list(proof) == naive_path(position, LEAVES[:size])
    verify_inclusion(LEAVES[position], position, size, proof, root_of(LEAVES[:size]))


def test_every_small_tree_extends_every_smaller_one() -> None:
    for later in range(1, 34):
        node, root = source(LEAVES[:later]), root_of(LEAVES[:later])
        for earlier in range(1, later + 1):
            proof = consistency_proof(earlier, later, node)
            verify_consistency(earlier, later, root_of(LEAVES[:earlier]), root, proof)


@given(integers(1, len(LEAVES)), drawn())
def test_a_consistency_proof_is_the_definitions_and_verifies(later: int, draw: Any) -> None:
    earlier = draw.draw(integers(1, later))
    proof = consistency_proof(earlier, later, source(LEAVES[:later]))
    assert list(proof) == naive_subproof(earlier, LEAVES[:later], True)
    verify_consistency(earlier, later, root_of(LEAVES[:earlier]), root_of(LEAVES[:later]), proof)


@given(integers(2, len(LEAVES)), drawn())
def test_any_flipped_bit_of_an_inclusion_proof_is_found(size: int, draw: Any) -> None:
    position = draw.draw(integers(0, size - 1))
    proof = list(inclusion_proof(position, size, source(LEAVES[:size])))
    which = draw.draw(integers(0, len(proof) - 1))
    bit = draw.draw(integers(0, 255))
    proof[which] = (int.from_bytes(proof[which]) ^ 1 << bit).to_bytes(32)
    with pytest.raises(ProofInvalid, match="is not the one in that tree"):
        verify_inclusion(LEAVES[position], position, size, proof, root_of(LEAVES[:size]))


@given(integers(2, len(LEAVES)), drawn())
def test_a_tree_with_one_other_leaf_does_not_extend_the_earlier_one(later: int, draw: Any) -> None:
    earlier = draw.draw(integers(1, later - 1))
    forged = LEAVES[:later]
    forged[draw.draw(integers(0, earlier - 1))] = bytes(32)
    proof = consistency_proof(earlier, later, source(forged))
    with pytest.raises(ProofInvalid):
        verify_consistency(earlier, later, root_of(LEAVES[:earlier]), root_of(forged), proof)


@given(integers(0, len(LEAVES)))
def test_the_root_of_any_size_comes_from_the_nodes(size: int) -> None:
    assert root_at(size, source(LEAVES)) == root_of(LEAVES[:size])


@given(integers(1, 100), integers(0, 20))
def test_perfect_subtrees_cover_their_range_without_gap(width: int, shift: int) -> None:
    first = shift * 128
    end = first + width
    at = first
    for level, index in perfect_subtrees(first, end):
        assert index << level == at
        at += 1 << level
    assert at == end


def test_the_empty_tree_has_the_empty_root() -> None:
    assert root_at(0, source([])) == EMPTY_ROOT


@pytest.mark.parametrize(("position", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_a_position_outside_the_tree_is_refused(position: int, size: int) -> None:
    with pytest.raises(RequestInvalid, match=f"position {position} is not in a tree of size"):
        inclusion_proof(position, size, source(LEAVES[:size]))


@pytest.mark.parametrize(("earlier", "later"), [(0, 4), (5, 4), (-1, 4)])
def test_no_proof_is_made_from_nothing_or_backwards(earlier: int, later: int) -> None:
    with pytest.raises(RequestInvalid, match="Ask with 1 <= from <= to"):
        consistency_proof(earlier, later, source(LEAVES[:4]))


def test_a_verifier_accepts_no_proof_from_size_zero() -> None:
    with pytest.raises(ProofInvalid, match="from size 0 shows nothing"):
        verify_consistency(0, 4, EMPTY_ROOT, root_of(LEAVES[:4]), [])
