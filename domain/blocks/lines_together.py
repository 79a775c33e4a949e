"""The lines of a block read together, each value of its kind: a fifth of reading them one by one.

Only what is certain is read so. A block with an erased row or with any fault is not: then whoever
asks goes line by line, which alone says what is wrong. A property test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from domain.blocks.layouts import YEAR_MAX, Layout, Shared
from domain.canonical import CanonicalInteger
from domain.times import are_normal_times

_CELL: Final = float | CanonicalInteger | str | None
_IDENTIFYING: Final = frozenset((str, int))


def values_together(
    layout: Layout, shared: Shared, lines: Sequence[bytes]
) -> list[tuple[Any, ...]] | None:
    """The values of each line, each of the kind that the layout wants; None: not certain.

    `shared` is one that `shared_fault` finds nothing in.
    """
    joined = b",\n".join(lines)
    # No text holds a newline, and no row a list that begins behind another one. So where each line
    # has its own brackets, each is one row, or the number of rows is another one.
    if joined.count(b"],\n[") != len(lines) - 1 or joined[:1] != b"[" or joined[-1:] != b"]":
        return None
    kinds = layout.kinds(shared)
    try:
        values = _reader(kinds, len(shared["columns"]) if layout.has_columns else 0).decode(
            b"[%b]" % joined
        )
    except ValueError:
        return None
    return values if len(values) == len(lines) else None


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
