"""The bytes of blocks are fixed for ever: lines, leaves, roots, ids, and what each row means.

The vectors were made by a few lines of json, hashlib and uuid, which share nothing with the code.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.blocks.block import Block, block_of, erased_line, erased_row
from domain.blocks.layouts import LAYOUTS, is_canonical, shared_fault
from domain.blocks.lines import lines_of
from domain.blocks.row_proofs import RowTree, check_row_proof
from domain.canonical import leaf_hash
from tests.repository import REPOSITORY

VECTORS = [
    pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem)
    for path in sorted((REPOSITORY / "tests" / "vectors" / "blocks").glob("*.json"))
]
each_vector = pytest.mark.parametrize("vector", VECTORS)


def test_there_is_a_vector_for_every_layout() -> None:
    envelopes = [json.loads(vector.values[0]["envelope"]) for vector in VECTORS]  # type: ignore[index]
    assert {(each["type"], each["schema"]) for each in envelopes} == set(LAYOUTS)


@each_vector
def test_rows_are_written_as_these_lines_under_this_root(vector: Any) -> None:
    block = stored(vector)
    assert block.lines == [each["line"].encode() for each in vector["rows"]]
    assert [leaf.hex() for leaf in block.leaves()] == [each["leaf"] for each in vector["rows"]]
    assert block.root().hex() == vector["rows_root"]
    assert block.fault(len(vector["rows"])) is None


@each_vector
def test_each_line_means_this_plain_event(vector: Any) -> None:
    envelope = json.loads(vector["envelope"])
    layout = LAYOUTS[envelope["type"], envelope["schema"]]
    assert shared_fault(layout, envelope["data"]) is None
    for row, each in enumerate(vector["rows"]):
        line = each["line"].encode()
        assert is_canonical(line)
        assert layout.line_fault(envelope["data"], line) is None
        id, occurred_at, data = layout.plain_row(envelope["id"], row, envelope["data"], line)
        assert (id, occurred_at, data) == (each["id"], each["occurred_at"], each["data"])


@each_vector
def test_each_row_is_proven_by_this_path_to_the_entrys_leaf(vector: Any) -> None:
    block, envelope = stored(vector), vector["envelope"].encode()
    assert leaf_hash(envelope).hex() == vector["envelope_leaf"]
    tree = RowTree(block.leaves())
    for row, each in enumerate(vector["rows"]):
        path = tree.proof(row)
        assert [node.hex() for node in path] == each["path"]
        leaf = check_row_proof(
            envelope, row=row, salt=block.salt(row), content=block.lines[row], proof=path
        )
        assert leaf.hex() == vector["envelope_leaf"]


@each_vector
def test_an_erased_row_leaves_its_hash_and_its_id_and_the_root(vector: Any) -> None:
    block = stored(vector)
    for row, each in enumerate(vector["rows"]):
        left = block.erased({row: each["id"]})
        assert left.lines[row] == each["erased"].encode()
        assert left.salt(row) == bytes(16)
        assert left.root().hex() == vector["rows_root"]
        assert left.fault(len(vector["rows"])) is None
        assert erased_row(left.lines[row]) == (bytes.fromhex(each["leaf"]), each["id"])
        assert erased_row(block.lines[row]) is None
        assert left.lines[row] == erased_line(bytes.fromhex(each["leaf"]), each["id"])
        assert left.erased({row: "another"}) == left, "nothing is erased twice"


def stored(vector: Any) -> Block:
    salts = b"".join(bytes.fromhex(each["salt"]) for each in vector["rows"])
    return block_of(lines_of([each["values"] for each in vector["rows"]]), salts)
