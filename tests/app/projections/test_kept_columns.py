"""Columns that stand apart are those that stood in memory, whatever they hold."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from app.projections import kept_columns
from app.projections.kept_columns import Columns, Page
from domain.packed import Value, Whole, pack

VALUES = st.none() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=3)
CELL = st.tuples(VALUES, st.integers(0, 3), st.floats(0, 1), st.sampled_from("abc"))
NAMES = ["mixed", "whole", "number", "text"]


def columns_of(
    rows: Sequence[tuple[Value, ...]], order: Sequence[int], at_once: int, reads: list[int]
) -> Columns:
    """Rows that the ledger gives so many at a time, and which stand in another order."""
    came = [rows[at] for at in order]

    def read(_: Connection, names: Sequence[str], keep: Callable[[Page], None]) -> Whole:
        reads.append(1)
        for start in range(0, len(came), at_once):
            page = came[start : start + at_once]
            keep([[row[NAMES.index(name)] for row in page] for name in names])
        return np.argsort(np.array(order, np.int64))

    return Columns(lambda: nullcontext(cast(Connection, None)), read, len(rows), NAMES)


def test_columns_that_nobody_holds_any_more_are_collected_by_any_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a cycle that failed, whose error holds them until it is told, a service's thread may."""
    monkeypatch.setattr(kept_columns, "_VALUES_HELD_MAX", 0)
    held = [columns_of([(1, 2, 0.5, "a")], [0], 1, [])]
    assert [*held[0]["text"]] == ["a"]
    collecting = threading.Thread(target=held.clear)
    collecting.start()
    collecting.join()
    gc.collect()  # what could not be closed would be told now


@pytest.mark.parametrize("held", [0, 500_000], ids=["apart", "in memory"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rows=st.lists(CELL, min_size=1, max_size=12), data=st.data())
def test_a_column_is_what_its_rows_hold_in_their_order_and_the_ledger_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
    held: int,
    rows: list[tuple[Value, ...]],
    data: st.DataObject,
) -> None:
    monkeypatch.setattr(kept_columns, "_VALUES_HELD_MAX", held)
    order = data.draw(st.permutations(range(len(rows))))
    reads: list[int] = []
    columns = columns_of(rows, order, data.draw(st.integers(1, 5)), reads)
    for _ in range(2):
        for name, values in zip(NAMES, zip(*rows, strict=True), strict=True):
            found, right = columns[name], pack(values)
            assert [*found] == [*values]
            assert [*map(type, found)] == [*map(type, right)]
            assert (found.levels, found.missing) == (right.levels, right.missing)
    assert len(reads) == 1
