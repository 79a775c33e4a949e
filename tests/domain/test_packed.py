"""A packed column says what the list of its values says, in few bytes a row."""

from __future__ import annotations

import math
import tracemalloc
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import packed
from domain.packed import (
    Numbering,
    Packed,
    Packing,
    Texts,
    Value,
    numbered,
    one_by_one,
    pack,
    text_digests,
)

NUMBERS = st.none() | st.integers(-3, 3) | st.floats(-1e9, 1e9)
COLUMNS = st.lists(NUMBERS, max_size=12) | st.lists(
    NUMBERS | st.sampled_from(["a", "b", "1"]), max_size=12
)


@given(COLUMNS, st.integers(1, 5))
def test_it_holds_the_same_values_in_the_same_order(column: list[Value], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_AT_ONCE", at_once)
        found = pack(iter(column))
        assert list(map(repr, found)) == list(map(repr, column))  # an int is an int
        assert list(found.only(found.absent)) == [None] * column.count(None)
        assert list(found.only(~found.absent)) == [each for each in column if each is not None]
    assert pack(found) is found
    assert len(found) == len(column)
    assert [found[at] for at in range(-len(column), len(column))] == column * 2
    assert found[1:4] == column[1:4]
    assert found.missing == column.count(None)
    assert (found.numbers is None) == any(isinstance(value, str) for value in column)


@given(COLUMNS)
def test_it_counts_and_maps_as_one_does_value_by_value(column: list[Value]) -> None:
    found = pack(column)
    assert found.counts() == Counter(column)
    numbers = {value: at for at, value in enumerate(dict.fromkeys(column))}
    assert found.each(lambda value: numbers.get(value, -1)).tolist() == [
        numbers[value] for value in column
    ]
    present = [value for value in column if isinstance(value, float | int)]
    if found.numbers is not None:
        assert found.total() == math.fsum(present)


@given(COLUMNS, st.randoms())
def test_in_another_order_it_is_as_if_its_values_had_come_so(
    column: list[Value], random: Random
) -> None:
    order = list(range(len(column)))
    random.shuffle(order)
    there = pack([column[at] for at in order])
    found = pack(column).taken(np.array(order, np.int64))
    assert list(map(repr, found)) == list(map(repr, there))
    assert list(found.counts()) == list(there.counts())
    assert list(map(repr, found.levels)) == list(map(repr, there.levels))
    assert found.missing == there.missing


def test_what_is_missing_is_no_nan() -> None:
    found = pack([None, math.nan, 1.0])
    assert found.absent.tolist() == [True, False, False]
    assert found.missing == 1


def test_a_column_that_comes_late_was_missing_before() -> None:
    packing = Packing()
    packing.add_missing(10_000)
    packing.add([1, "a"])
    assert list(packing.packed()) == [None] * 10_000 + [1, "a"]


def test_text_has_no_sum() -> None:
    with pytest.raises(ValueError, match="could not convert"):
        pack(["much", 1.0]).total()


@pytest.mark.parametrize(("text", "bytes_a_row"), [(False, 10), (True, 5)])
def test_a_row_takes_as_many_bytes_as_its_arrays_and_no_object_is_kept(
    text: bool, bytes_a_row: float
) -> None:
    """Given a column four times as long, then what is held grows by the arrays alone."""
    held = []
    for rows in (20_000, 80_000):
        values = (f"level {n % 50}" if text else n / 7 for n in range(rows))
        tracemalloc.start()
        found: Packed = pack(values)
        kept, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(found) == rows
        held.append((kept, most))
    (few, few_at_most), (many, many_at_most) = held
    assert many - few <= 1.15 * bytes_a_row * 60_000  # an array keeps some room to grow
    assert many_at_most - few_at_most <= 2.5 * bytes_a_row * 60_000


def test_keys_are_numbered_as_they_come() -> None:
    assert numbered(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert numbered(np.array([7, 3, 7, 9])).tolist() == [0, 1, 0, 2]
    assert numbered([]).tolist() == []


def test_numbers_are_handed_out_as_python_has_them() -> None:
    given_numbers = np.arange(20_000) / 3
    found = list(one_by_one(given_numbers))
    assert found == given_numbers.tolist()
    assert type(found[0]) is float


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5), max_size=6))
def test_keys_that_come_page_by_page_get_the_numbers_of_all_at_once(pages: list[list[str]]) -> None:
    numbering = Numbering()
    found = [number for page in pages for number in numbering.of(text_digests(page)).tolist()]
    together = [key for page in pages for key in page]
    assert found == numbered(together).tolist()
    assert numbering.keys.tolist() == sorted({*text_digests(together).tolist()})


@given(st.lists(st.text(max_size=4), max_size=8))
def test_packed_texts_are_the_texts_that_were_added(texts: list[str]) -> None:
    found = Texts()
    for text in texts:
        found.add(text)
    assert [*found] == texts
