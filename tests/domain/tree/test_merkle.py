"""The tree is RFC 6962's: published roots, and the recursive definition as its naive twin."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis.strategies import binary, integers, lists

from domain.canonical import leaf_hash
from domain.tree.merkle import Frontier, node_hash, root_of

# The eight inputs and the roots of their prefixes in the Certificate Transparency test data.
INPUTS = [bytes.fromhex(x) for x in "|00|10|2021|3031|40414243|5051525354555657".split("|")]
INPUTS.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_the_published_roots_come_out(size: int) -> None:
    assert root_of([leaf_hash(content) for content in INPUTS[:size]]).hex() == ROOTS[size]


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


@given(lists(binary(min_size=32, max_size=32), max_size=40), integers(0, 40))
def test_appending_in_any_two_parts_gives_the_root_of_the_definition(
    leaves: list[bytes], cut: int
) -> None:
    assert Frontier().append(leaves[:cut]).append(leaves[cut:]).root() == naive_root(leaves)
