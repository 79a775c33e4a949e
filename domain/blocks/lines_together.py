"""The lines of a block read together, each value of its kind: a fifth of reading them one by one.

Only what is certain is read so. A block with an erased row or with any fault is not: then whoever
asks goes line by line, which alone says what is wrong. A property test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from domain.blocks.block import Block
from domain.blocks.layouts import YEAR_MAX, Layout, Shared
from domain.canonical import CanonicalInteger
from domain.times import are_normal_times

_REMEMBERED_BYTES: Final = 2**18  # of a block
_CELL: Final = float | CanonicalInteger | str | None
_IDENTIFYING: Final = frozenset((str, int))


def block_together(
    layout: Layout, shared: Shared, block: Block
) -> Sequence[tuple[Any, ...]] | None:
    """As `values_together`, of all lines of a block.

    Whoever reads an entry looks at all of its rows, and asks for most of them next: so what came of
    the last blocks is remembered, of those that are not large.
    """
    read = _all_together if len(block.content) <= _REMEMBERED_BYTES else _all_together.__wrapped__
    return read(*_kinds_of(layout, shared), block.content)


def rows_together(
    layout: Layout, shared: Shared, block: Block, rows: Sequence[int]
) -> Sequence[tuple[Any, ...]] | None:
    """As `values_together`, of these rows of a block."""
    lines = block.lines
    if 2 * len(rows) >= len(lines):
        whole = block_together(layout, shared, block)
        if whole is not None:
            return whole if rows == range(len(whole)) else [whole[row] for row in rows]
    return values_together(layout, shared, [lines[row] for row in rows])


def values_together(
    layout: Layout, shared: Shared, lines: Sequence[bytes]
) -> Sequence[tuple[Any, ...]] | None:
    """The values of each line, each of the kind that the layout wants; None: not certain.

    `shared` is one that `shared_fault` finds nothing in.
    """
    return _together(*_kinds_of(layout, shared), b",\n".join(lines), len(lines))


@lru_cache(maxsize=2)
def _all_together(
    kinds: tuple[Any, ...], cells: int, content: bytes
) -> Sequence[tuple[Any, ...]] | None:
    joined = content.replace(b"\n", b",\n")
    return _together(kinds, cells, joined, content.count(b"\n") + 1)


def _kinds_of(layout: Layout, shared: Shared) -> tuple[tuple[Any, ...], int]:
    return layout.kinds(shared), len(shared["columns"]) if layout.has_columns else 0


def _together(
    kinds: tuple[Any, ...], cells: int, joined: bytes, lines: int
) -> Sequence[tuple[Any, ...]] | None:
    # No text holds a newline, and no row a list that begins behind another one. So where each line
    # has its own brackets, each is one row, or the number of rows is another one.
    if joined.count(b"],\n[") != lines - 1 or joined[:1] != b"[" or joined[-1:] != b"]":
        return None
    try:
        values: list[tuple[Any, ...]] = _reader(kinds, cells).decode(b"[%b]" % joined)
    except ValueError:
        return None
    return values if len(values) == lines else None


def fit_together(layout: Layout, shared: Shared, values: Sequence[tuple[Any, ...]]) -> bool:
    """Whether such values are rows of the layout: they name themselves, and when they happened."""
    if layout.has_columns:
        before = len(layout.fixed)
        at = {name: before + index for index, name in enumerate(shared["columns"])}
        for name in shared["identity"]:
            if not _IDENTIFYING.issuperset({type(line[at[name]]) for line in values}):
                return False
        time = shared["event_time"]
        if time["read_as"] == "mid-year":
            years = [line[at[time["column"]]] for line in values]
            return {*map(type, years)} == {int} and 1 <= min(years) <= max(years) <= YEAR_MAX
    return are_normal_times({*layout.times(shared, values)})


@lru_cache(maxsize=64)
def _reader(fixed: tuple[Any, ...], cells: int) -> msgspec.json.Decoder[Any]:
    line: Any = tuple.__class_getitem__((*fixed, *[_CELL] * cells))
    return msgspec.json.Decoder(list[line])
