"""A block is so many lines with a salt each; anything else is told apart, in words."""

from __future__ import annotations

import hashlib

import pytest

from domain.blocks.block import NO_SALT, Block, block_of, erased_line, row_members
from domain.blocks.lines import lines_of
from domain.errors import RequestInvalid

ID = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d0000"
LINES = lines_of([(1.5, "a"), (2.5, "b"), (3.5, "c")])
SALTS = bytes(range(48))
BLOCK = block_of(LINES, SALTS)
LEAF = "ab" * 32


def test_equal_rows_have_unequal_leaves() -> None:
    first, second = block_of([b"[1]", b"[1]"], bytes(range(32))).leaves()
    assert first != second
    assert first == hashlib.sha256(b"\x00" + bytes(range(16)) + b"[1]").digest()


@pytest.mark.parametrize("rows", [0, 1, 10_001])
def test_a_block_has_two_rows_at_least_and_ten_thousand_at_most(rows: int) -> None:
    with pytest.raises(RequestInvalid, match=f"a block of {rows} rows, which has 2 to 10000"):
        block_of([b"[1]"] * rows, bytes(16 * rows))


def test_any_rows_of_a_block_can_be_erased_at_once_or_one_after_another() -> None:
    every = {row: f"{ID[:-1]}{row}" for row in range(3)}
    at_once = BLOCK.erased(every)
    one_by_one = BLOCK
    for row, id in every.items():
        assert one_by_one.rows_erased() == list(range(row))
        one_by_one = one_by_one.erased({row: id})
    assert at_once == one_by_one
    assert at_once.root() == BLOCK.root()
    assert at_once.salts == bytes(48)
    assert [BLOCK.erased({2: every[2]}).rows_erased(), at_once.rows_erased()] == [[2], [0, 1, 2]]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Block(SALTS[:-1], BLOCK.content), "47 bytes of salts for 3 rows of 16 each"),
        (Block(SALTS + bytes(16), BLOCK.content), "64 bytes of salts for 3 rows of 16 each"),
        (Block(SALTS, b"\n".join(LINES[:2])), "2 lines for 3 rows"),
        (Block(SALTS, BLOCK.content + b"\n"), "4 lines for 3 rows"),
        (Block(SALTS, b"\n".join([LINES[0], b"", LINES[2]])), "a line that is no row in row 1"),
        (Block(SALTS, b"\n".join([*LINES[:2], b'"x"'])), "a line that is no row in row 2"),
        (
            Block(SALTS, b"\n".join([*LINES[:2], f'"{LEAF.upper()} {ID}"'.encode()])),
            "a line that is no row in row 2",
        ),
        (
            Block(SALTS, b"\n".join([*LINES[:2], f'"{LEAF} {ID}"'.encode()])),
            "a salt where row 2 is erased",
        ),
    ],
)
def test_what_is_no_block_of_so_many_rows_is_told_in_words(block: Block, said: str) -> None:
    assert block.fault(3) == said


@pytest.mark.parametrize("rows", [-1, 0, 1, 10_001])
def test_no_envelope_can_say_another_number_of_rows(rows: int) -> None:
    assert BLOCK.fault(rows) == f"a block of {rows} rows, which has 2 to 10000"


def test_a_row_is_handed_on_with_its_salt_and_its_line_as_it_is_or_with_what_is_left_of_it() -> (
    None
):
    gone = erased_line(bytes(32), ID)
    assert row_members(7, b"[1.50]", b"\x01" * 16) == (
        b'"row":7,"salt":"' + b"01" * 16 + b'","data":[1.50]'
    )
    assert row_members(7, gone, NO_SALT) == b'"row":7,"erased":' + gone
    assert b'"salt":"' in row_members(7, gone, b"\x01" * 16), "as it stands, where it is damaged"
    assert b'"salt":"' in row_members(7, b"[1]", NO_SALT), "a salt that was drawn so"
