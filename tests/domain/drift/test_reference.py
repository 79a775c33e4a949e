"""The frozen reference: its bins, its document, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.drift.bins import (
    CategoryReference,
    Kind,
    NumberReference,
    freeze_categories,
    freeze_numbers,
)
from domain.drift.reference import Reference, freeze_reference, reference_from_document
from domain.errors import LedgerDamaged, NotMeasurable
from domain.packed import Value

FINITE = st.floats(-1e9, 1e9, allow_subnormal=False)
COLUMNS = st.lists(st.none() | FINITE | st.integers(-3, 3), min_size=1, max_size=80)
LEVELS = st.lists(st.none() | st.integers(0, 3) | st.sampled_from("abc"), min_size=1, max_size=80)


def reference(numbers: Sequence[Value], levels: Sequence[Value], window: int = 10) -> Reference:
    target = np.linspace(0, 1, len(numbers))
    return freeze_reference(
        [("size", "number"), ("maker", "category")],
        {"size": numbers, "maker": levels, "beside": levels},
        target,
        target * 0.9,
        window,
    )


def thawed(frozen: Reference) -> Reference:
    return reference_from_document(json.loads(canonical_bytes(frozen.to_document())))


def test_a_negative_zero_is_a_zero_before_it_is_written_too() -> None:
    frozen = freeze_numbers("size", [-0.0])
    assert frozen.bins == ("≤ 0", "> 0", "(missing)")
    assert not np.signbit(frozen.numbers.ordered).any()


def test_the_bins_are_the_references_deciles_with_open_ends() -> None:
    frozen = freeze_numbers("size", [float(i) for i in range(1, 101)])
    assert frozen.edges == pytest.approx(np.quantile(np.arange(1, 101), np.arange(1, 10) / 10))
    assert frozen.counts == (10,) * 10 + (0,)
    assert frozen.count([-1e9, 1e9]).counts == (1,) + (0,) * 8 + (1, 0)
    assert frozen.bins[0] == "≤ 10.9"
    assert frozen.bins[1] == "(10.9, 20.8]"
    assert frozen.bins[-2:] == ("> 90.1", "(missing)")


def test_a_value_on_an_edge_belongs_to_the_bin_below_it() -> None:
    frozen = freeze_numbers("size", [float(i) for i in range(11)])
    assert frozen.bins[:2] == ("≤ 1", "(1, 2]")
    assert frozen.count([1.0]).counts[0] == 1
    assert frozen.count([1.000001]).counts[1] == 1


def test_a_point_mass_is_a_bin_of_its_own_and_repeated_quantiles_collapse() -> None:
    frozen = freeze_numbers("duty", [0.0] * 400 + [i / 100 for i in range(1, 601)])
    assert frozen.bins[:2] == ("< 0", "= 0")
    assert frozen.counts[:2] == (0, 400)
    assert min(frozen.counts[2:-1]) >= 50  # no sliver beside it
    assert frozen.count([-0.001, 0.0, -0.0, 1e-300]).counts[:3] == (1, 3, 0)


def test_a_point_mass_within_the_values_parts_what_lies_below_from_what_lies_above() -> None:
    frozen = freeze_numbers(
        "trim", [float(i) for i in range(-300, 0)] + [0.0] * 400 + [float(i) for i in range(1, 301)]
    )
    at = frozen.bins.index("= 0")
    assert frozen.counts[at] == 400
    assert frozen.bins[at - 1].endswith(", 0)")
    assert frozen.bins[at + 1].startswith("(0, ")
    assert sum(frozen.counts[:at]) == 300
    assert min(frozen.counts[:-1]) >= 50


def test_a_constant_column_is_one_bin_and_leaves_room_on_both_sides() -> None:
    frozen = freeze_numbers("wheels", [4.0] * 50)
    assert frozen.bins == ("< 4", "= 4", "> 4", "(missing)")
    assert frozen.count([3.0, 4.0, 4.0, 5.0, None]).counts == (1, 2, 1, 1)


def test_a_column_without_any_value_still_has_a_bin_for_values() -> None:
    frozen = freeze_numbers("late", [None, None])
    assert frozen.bins == ("any", "(missing)")
    assert frozen.counts == (0, 2)
    assert frozen.count([1.0, None]).counts == (1, 1)


def test_missing_new_and_rare_categories_have_bins_of_their_own() -> None:
    trained: list[Value] = [*["US"] * 90, *["JP"] * 8, "EU", "EU"]
    frozen = freeze_categories("maker", trained, window=100)
    assert frozen.bins == ("JP", "US", "(other)", "(new)", "(missing)")
    assert frozen.counts == (8, 90, 2, 0, 0)
    counted = frozen.count(["US", "EU", "KR", None, None])
    assert counted.counts == (0, 1, 1, 1, 2)
    assert (counted.unknown, counted.missing) == (1, 2)


def test_a_category_expected_exactly_five_times_keeps_its_bin() -> None:
    levels: list[Value] = [*["a"] * 95, *["b"] * 5]
    assert freeze_categories("maker", levels, window=100).pooled == ()
    assert freeze_categories("maker", levels, window=99).pooled == ("b",)


def test_a_number_and_its_text_are_two_categories() -> None:
    frozen = freeze_categories("code", [1, "1"] * 5, window=1_000)
    assert frozen.levels == (1, "1")
    assert frozen.counts == (5, 5, 0, 0)


@given(COLUMNS)
def test_every_row_of_a_number_column_lies_in_one_bin(column: list[Value]) -> None:
    frozen = freeze_numbers("size", column)
    assert sum(frozen.counts) == len(column)
    assert frozen.counts[-1] == column.count(None)
    assert len(frozen.bins) == len(frozen.counts)
    assert (np.diff(frozen.edges) > 0).all()


@given(LEVELS, LEVELS, st.integers(1, 200))
def test_every_row_of_a_category_column_lies_in_one_bin(
    trained: list[Value], window: list[Value], expected: int
) -> None:
    frozen = freeze_categories("maker", trained, expected)
    counted = frozen.count(window)
    assert sum(frozen.counts) == len(trained)
    assert sum(counted.counts) == len(window)
    assert len(frozen.bins) == len(frozen.counts) == len(counted.counts)
    assert counted.unknown == len([v for v in window if v is not None and v not in trained])


@given(COLUMNS, COLUMNS)
def test_counts_of_two_parts_add_up_to_the_counts_of_the_whole(
    one: list[Value], other: list[Value]
) -> None:
    frozen = freeze_numbers("size", one)
    parts = [frozen.count(part).counts for part in (one, other)]
    assert tuple(map(sum, zip(*parts, strict=True))) == frozen.count([*one, *other]).counts


@given(COLUMNS, st.data())
def test_a_reference_read_back_is_the_reference_written(
    numbers: list[Value], data: st.DataObject
) -> None:
    levels = data.draw(st.lists(st.sampled_from(["a", 1, None]), min_size=len(numbers)))
    frozen = reference(numbers, levels[: len(numbers)])
    again = thawed(frozen)
    assert canonical_bytes(again.to_document()) == canonical_bytes(frozen.to_document())
    for ours, theirs in zip(frozen.features, again.features, strict=True):
        assert theirs.bins == ours.bins
        assert theirs.counts == ours.counts
        if isinstance(ours, NumberReference) and isinstance(theirs, NumberReference):
            assert theirs.numbers.moments == ours.numbers.moments
            assert theirs.count(numbers).counts == ours.counts
        elif isinstance(ours, CategoryReference) and isinstance(theirs, CategoryReference):
            assert (theirs.levels, theirs.pooled) == (ours.levels, ours.pooled)


def test_a_reference_of_the_first_format_is_written_and_read_as_it_was() -> None:
    target = np.linspace(0, 1, 3)
    columns: dict[str, list[Value]] = {"size": [0.1, 0.1, 2.0], "maker": ["a", "b", None]}
    kinds: list[tuple[str, Kind]] = [("size", "number"), ("maker", "category")]
    first = freeze_reference(kinds, columns, target, target, 10, transform=None)
    document = first.to_document()
    assert document["format"] == "whyledger.reference/1"
    assert document.keys() == freeze_reference(
        kinds, columns, target, target, 10
    ).to_document().keys() - {"transform"}
    assert "pooled_counts" not in document["features"][1]
    again = thawed(first)
    assert again.transform is None
    assert canonical_bytes(again.to_document()) == canonical_bytes(document)


def test_a_reference_names_the_scale_it_was_frozen_on() -> None:
    target = np.linspace(0, 1, 3)
    assert thawed(freeze_reference([], {}, target, target, 10, transform="log")).transform == "log"


def test_freezing_neither_keeps_nor_changes_the_callers_arrays() -> None:
    target = np.array([3.0, 1.0, 2.0])
    frozen = freeze_reference([], {}, target, target, 1)
    target[0] = 9.0
    assert frozen.target.ordered.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="read-only"):
        frozen.target.ordered[0] = 0.0


def test_a_reference_of_no_rows_is_refused() -> None:
    with pytest.raises(NotMeasurable, match=r"got 0 and 10\. Import labelled rows first"):
        reference([], [])


def test_columns_that_do_not_fit_are_refused_by_name() -> None:
    ones = np.ones(2)
    with pytest.raises(NotMeasurable, match="'size' has no column; there are"):
        freeze_reference([("size", "number")], {"other": [1, 2]}, ones, ones, 1)
    with pytest.raises(NotMeasurable, match="'size' has 1 rows, not 2"):
        freeze_reference([("size", "number")], {"size": [1]}, ones, ones, 1)
    with pytest.raises(NotMeasurable, match="2 targets but 1 out-of-fold"):
        freeze_reference([], {}, ones, ones[:1], 1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1e200])
def test_values_that_cannot_be_measured_are_refused(bad: float) -> None:
    with pytest.raises(NotMeasurable, match=r"feature 'size': .* is not a finite number"):
        freeze_numbers("size", [1.0, bad])


def test_text_in_a_number_column_is_refused() -> None:
    with pytest.raises(NotMeasurable, match="'size' is a number, but a row has text"):
        freeze_numbers("size", [1.0, "2"])


DAMAGE = {
    "another format": ("format", "whyledger.reference/0", "has format 'whyledger.reference/0'"),
    "no scale known": ("transform", "sqrt", "cannot be read"),
    "no features": ("features", None, "cannot be read"),
    "another number of rows": ("rows", 4, "do not fit"),
    "text among the targets": ("target", ["a"], "cannot be read"),
}


@pytest.mark.parametrize(("key", "value", "says"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_document_is_refused(key: str, value: object, says: str) -> None:
    document = reference([1.0, 2.0, 2.5], ["a", "b", None]).to_document() | {key: value}
    with pytest.raises(LedgerDamaged, match=says):
        reference_from_document(document)


def test_a_document_whose_counts_are_not_those_of_its_values_is_refused() -> None:
    document = reference([1.0, 2.0, 2.5], ["a", "b", None]).to_document()
    size = document["features"][0]
    size["values"] = [1.0, 2.0, 2.0]
    with pytest.raises(LedgerDamaged, match=r"counts of 'size' \(3 of 3 rows\) do not fit"):
        reference_from_document(document)


def test_a_document_with_a_bin_more_than_its_edges_make_is_refused() -> None:
    document = reference([1.0, 2.0, 2.5], ["a", "b", None]).to_document()
    document["features"][1]["counts"].insert(0, 0)
    with pytest.raises(LedgerDamaged, match="counts of 'maker'"):
        reference_from_document(document)


def test_a_document_whose_pooled_levels_do_not_make_its_bins_is_refused() -> None:
    document = reference([1.0, 2.0, 2.5], ["a", "b", None]).to_document()
    for damaged in ([1, 2], [1], [1, 1, 0]):
        document["features"][1]["pooled_counts"] = damaged
        with pytest.raises(LedgerDamaged, match="counts of 'maker'"):
            reference_from_document(document)


def test_a_document_with_an_unknown_kind_is_refused() -> None:
    document = reference([1.0], ["a"]).to_document()
    document["features"][0]["kind"] = "picture"
    with pytest.raises(LedgerDamaged, match="of kind 'picture'"):
        reference_from_document(document)
