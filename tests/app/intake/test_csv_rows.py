"""A CSV line by line, and its header held to a contract."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.csv_rows import (
    LINE_LENGTH_MAX,
    BrokenLine,
    csv_cells,
    csv_header,
    csv_rows,
)
from domain.errors import DocumentInvalid
from tests.domain.kettles import KETTLES


def test_a_column_is_pointed_at_whatever_it_is_called() -> None:
    with pytest.raises(DocumentInvalid, match="'a/b~' is no column of 'kettle-noise'") as refused:
        csv_header(["a/b~", "x" * 101, "y", "y"], KETTLES)
    paths = [fault.path for fault in refused.value.faults]
    assert paths[:4] == ["/y", "/a~1b~0", f"/{'x' * 101}", "/y"]


def test_a_header_that_does_not_fit_says_what_to_send_and_how_much_more_is_wrong() -> None:
    said = r"'a' is no column .*'e' .*; and \d+ more\. Nothing was kept; send the file again with"

    with pytest.raises(DocumentInvalid, match=said):
        csv_header(list("abcdefg"), KETTLES)


def rows_in(content: bytes) -> list[tuple[int, list[str] | str]]:
    """Each row's line and its cells, or why it has none."""
    text = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", "surrogateescape", newline="")
    return [(n, cells if isinstance(cells, list) else str(cells)) for n, cells, _ in csv_rows(text)]


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (b"a, b ,\tc", ["a", "b", "c"]),
        (b'a, "b, c" ,"d"', ["a", "b, c", "d"]),
        (b'"say ""so""",x', ['say "so"', "x"]),
        (b"a,,", ["a", "", ""]),
        (b'5" pipe,x', ['5" pipe', "x"]),
    ],
)
def test_a_line_is_its_cells_without_the_space_around_them(line: bytes, cells: list[str]) -> None:
    assert rows_in(line) == [(1, cells)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'a,"b', "cell 2 opens a quote that this line does not close; close it, or write"),
        (b'a,"b"c,d', "cell 2 goes on after its closing quote with 'c,d'; end it there"),
        (b"x" * (LINE_LENGTH_MAX + 1), f"has more than {LINE_LENGTH_MAX} characters; shorten it"),
    ],
)
def test_a_broken_line_says_why_and_costs_no_other(line: bytes, why: str) -> None:
    (first, second, third) = rows_in(b"a,b\n" + line + b"\r\nc,d\n")
    assert (first, third) == ((1, ["a", "b"]), (3, ["c", "d"]))
    assert second[0] == 2
    assert why in second[1]


@pytest.mark.parametrize("nothing", [b"", b" ", b",,,", b" , ", b'"",""', b"\t"])
def test_a_line_with_nothing_in_its_cells_is_no_row(nothing: bytes) -> None:
    assert rows_in(b"a,b\n" + nothing + b"\nc,d") == [(1, ["a", "b"]), (3, ["c", "d"])]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("extra", range(-2, 4))
@pytest.mark.parametrize("pieces", [1, 2])
def test_lines_are_numbered_as_an_editor_does_however_long_one_is(
    end: bytes, extra: int, pieces: int
) -> None:
    length = pieces * (LINE_LENGTH_MAX + 2) + extra - 2
    found = rows_in(end.join([b"a", b"x" * length, b"c", b"d"]))
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert (found[1][1] == ["x" * length]) == (length <= LINE_LENGTH_MAX)


signs = st.sampled_from(['"', ",", " ", "a", "1", ";", "\t", "\0", "é", "\u2028", "\x1c", "''"])


@given(
    st.lists(st.lists(signs, max_size=8).map("".join), max_size=6), st.sampled_from(["\n", "\r\n"])
)
def test_what_a_line_means_never_depends_on_another(lines: list[str], end: str) -> None:
    together = rows_in(end.join(lines).encode())
    alone = [
        (number, cells)
        for number, line in enumerate(lines, 1)
        for _, cells in rows_in(line.encode())
    ]
    assert together == alone


# Ordinary cells, so that many files have no quote and no space, and what stands around them.
files = st.lists(
    st.sampled_from(["a", "b1", ",", ",", "\n", "\r", "\r\n", " ", '"', "é", "\x1c"]), max_size=30
).map("".join)


def rows_one_by_one(content: str) -> list[tuple[int, list[str] | str]]:
    """What the rows are, said once more: each line by itself."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found: list[tuple[int, list[str] | str]] = []
    for number, line in enumerate(lines, 1):
        try:
            cells = csv_cells(line)
        except BrokenLine as broken:
            found.append((number, str(broken)))
        else:
            found += [(number, cells)] * any(cells)
    return found


@given(files, st.integers(1, 40))
def test_rows_do_not_depend_on_how_much_is_read_at_once(content: str, characters: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.intake.csv_rows._CHARACTERS_AT_ONCE", characters)
        found = rows_in(content.encode())
    assert found == rows_one_by_one(content)


@given(
    st.lists(st.integers(0, 12), max_size=12),
    st.integers(1, 5),
    st.sampled_from(["\n", "\r", "\r\n"]),
)
def test_a_long_line_is_one_line_however_it_is_read(
    lengths: list[int], characters: int, end: str
) -> None:
    content = end.join("x" * length for length in lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.intake.csv_rows._CHARACTERS_AT_ONCE", characters)
        patch.setattr("app.intake.csv_rows.LINE_LENGTH_MAX", 6)
        found = rows_in(content.encode())
    assert [(number, type(cells) is str) for number, cells in found] == [
        (number, length > 6) for number, length in enumerate(lengths, 1) if length
    ]
