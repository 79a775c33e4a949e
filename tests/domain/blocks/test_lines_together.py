"""Lines that are read together are read as one by one, or not at all."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.blocks.block import SALT_BYTES, block_of
from domain.blocks.layouts import LAYOUTS, Layout
from domain.blocks.lines_together import (
    block_together,
    fit_together,
    rows_together,
    values_together,
)
from domain.canonical import INTEGER_MAX
from tests.domain.tampering import tampered

YEARLY: Final[dict[str, Any]] = {
    **{"model": "cars", "model_version": "cars/1", "plan_sha256": "a", "request_id": None},
    **{"columns": ["air", "car", "year"], "identity": ["year", "car"]},
    "event_time": {"column": "year", "read_as": "mid-year"},
}
TIMED: Final[dict[str, Any]] = {
    **{"model": "cars", "source": None, "columns": ["car", "hpwt", "when"], "identity": ["car"]},
    "event_time": {"column": "when", "read_as": "timestamp"},
}
UPLOADED: Final = TIMED | {"source": "/us"}
FIRST: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"
TIME: Final = b'"1976-07-01T00:00:00.000000Z"'
CASES: Final[tuple[tuple[Layout, dict[str, Any], list[bytes]], ...]] = (
    (
        LAYOUTS["predictions.predictions-made", 1],
        YEARLY,
        [b"[4.94,[],0,129,1971]", b'[5,["region","air"],null,"A|%",1972]', b"[7,[],0.5,1,9999]"],
    ),
    (
        LAYOUTS["observations.observations-recorded", 1],
        TIMED,
        [b'["1","/a","A",0.5,%b]' % TIME, b'["2","/b",7,null,%b]' % TIME],
    ),
    (
        LAYOUTS["observations.observations-recorded", 1],
        UPLOADED,
        [b'["1",null,"A",0.5,%b]' % TIME, b'["2",null,7,null,%b]' % TIME],
    ),
    (
        LAYOUTS["observations.outcomes-recorded", 1],
        {"model": "cars", "source": None},
        [b'["1","/a","p","car=1",9,%b]' % TIME, b'["2","/b","q","car=2",1e-7,%b]' % TIME],
    ),
    (
        LAYOUTS["observations.outcomes-recorded", 1],
        {"model": "cars", "source": "/us"},
        [b'["1",null,"p","car=1",9.5,%b]' % TIME, b'["2",null,"q","",1,%b]' % TIME],
    ),
)


def told(layout: Layout, shared: dict[str, Any], lines: list[bytes]) -> list[str] | None:
    """The plain events of lines that are read together, with the kind of each value."""
    values = values_together(layout, shared, lines)
    if values is None or not fit_together(layout, shared, values):
        return None
    return [
        repr(_alike(layout.plain_of(FIRST, at, shared, each))) for at, each in enumerate(values)
    ]


def one_by_one(layout: Layout, shared: dict[str, Any], lines: list[bytes]) -> list[str] | None:
    if any(line[:1] != b"[" or layout.line_fault(shared, line) for line in lines):
        return None
    rows = [layout.plain_row(FIRST, at, shared, line) for at, line in enumerate(lines)]
    return [repr(_alike(row)) for row in rows]


def _alike(row: Any) -> Any:
    """The row as its event is: a number where one is meant is a float, and a list a tuple."""
    data = dict(row.data)
    for name in ("prediction", "label"):
        if name in data:
            data[name] = float(data[name])
    if "unknown_categories" in data:
        data["unknown_categories"] = tuple(data["unknown_categories"])
    return row._replace(data=data)


@pytest.mark.parametrize(("layout", "shared", "lines"), CASES)
def test_lines_are_read_together_as_one_by_one(
    layout: Layout, shared: dict[str, Any], lines: list[bytes]
) -> None:
    found = told(layout, shared, lines)
    assert found is not None
    assert found == one_by_one(layout, shared, lines)


@pytest.mark.parametrize(("layout", "shared", "lines"), CASES)
def test_some_rows_of_a_block_are_its_lines_whether_or_not_another_is_erased(
    layout: Layout, shared: dict[str, Any], lines: list[bytes]
) -> None:
    block = block_of(lines, bytes(SALT_BYTES * len(lines)))
    every = values_together(layout, shared, lines)
    assert every is not None
    assert block_together(layout, shared, block) == every
    gone = block.erased({1: FIRST})
    assert block_together(layout, shared, gone) is None
    assert rows_together(layout, shared, gone, [0, 1]) is None
    for of in (block, gone):
        assert rows_together(layout, shared, of, [0, 0]) == [every[0], every[0]]
    for rows in (range(len(lines)), [1, 0]):
        assert rows_together(layout, shared, block, rows) == [every[row] for row in rows]


@settings(max_examples=600)
@given(data=st.data())
def test_whatever_somebody_made_of_lines_none_is_read_otherwise(data: st.DataObject) -> None:
    layout, shared, lines = data.draw(st.sampled_from(CASES))
    made = data.draw(tampered(b"\n".join(lines))).split(b"\n")
    found = told(layout, shared, made)
    assert found in (None, one_by_one(layout, shared, made))


@pytest.mark.parametrize(
    "lines",
    [
        [b'[5,[],"]', b'[",129,1971]', b"[1,[],1,1,1],[1,[],1,1,1]"],  # a text over two lines
        [b'[5,["a"]', b'["b"],1,1,1]', b"[1,[],1,1,1],[1,[],1,1,1]"],  # a list over two
        [b"[1,[],1,1,1],[1,[],1,1,1]"],
        [b"[1,[],1,1,1]", b'"%b %b"' % (b"0" * 64, FIRST.encode())],  # an erased one
        [b"[1,[],1,1,1]", b""],
        [b"[1,[],1,%d,1]" % (INTEGER_MAX + 1)],
        [b"[1,[],1,1.5,1]"],
        [b"[1,[],1,1,1.0]"],
        [b"[1,[],1,1,1]", b"[1,[],1,1,10000]"],
    ],
)
def test_lines_that_are_no_rows_each_are_not_read_together(lines: list[bytes]) -> None:
    layout, shared, _ = CASES[0]
    assert told(layout, shared, lines) is None
    assert one_by_one(layout, shared, lines) is None
