"""Rows that depend on each other: what is frozen of them, and what a window of them is worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.drift.bins import freeze_categories, freeze_numbers
from domain.drift.dependence import Blocks, Depending, bins_of, block_of
from domain.drift.measurement import measure_drift
from domain.drift.reference import Reference, freeze_reference, reference_from_document
from domain.errors import LedgerDamaged, NotMeasurable
from domain.events.findings import DriftReport
from domain.packed import Value
from tests.domain.drift.test_blocks import following

NUMBERS = st.lists(st.none() | st.integers(-3, 3) | st.floats(-9, 9), min_size=1, max_size=40)
LEVELS = st.lists(st.none() | st.sampled_from("abcdef") | st.integers(0, 2), min_size=1)
ROWS = 300


def frozen(kind: Blocks, values: Sequence[Value], blocks: Sequence[str]) -> Reference:
    """A reference of one number, whose rows depend as `kind` says."""
    target = np.linspace(0, 1, len(values))
    return freeze_reference(
        [("f", "number")],
        {"f": values},
        target,
        target,
        100,
        depending=Depending(kind, blocks),
    )


def measured(
    reference: Reference, window: Sequence[Value], blocks: Sequence[str] = (), seed: str = "s"
) -> DriftReport:
    predictions = np.linspace(0, 1, len(window))
    return measure_drift(reference, {"f": window}, predictions, blocks=blocks, seed=seed)


def days(rows: int, a_day: int) -> list[str]:
    return [f"day {at // a_day}" for at in range(rows)]


@given(NUMBERS, NUMBERS)
def test_the_bins_of_numbers_make_the_counts_of_their_feature(
    trained: list[Value], window: list[Value]
) -> None:
    feature = freeze_numbers("f", trained)
    for column, counts in (
        (trained, feature.counts),
        (window, feature.count(window).counts),
    ):
        assert tuple(np.bincount(bins_of(feature, column), minlength=len(counts))) == counts


@given(LEVELS, LEVELS)
def test_the_bins_of_categories_make_the_counts_of_their_feature(
    trained: list[Value], window: list[Value]
) -> None:
    feature = freeze_categories("f", trained, 20)
    own, other = bins_of(feature, trained, own=True), bins_of(feature, window)
    bins = len(feature.counts)
    assert tuple(np.bincount(own, minlength=bins)) == feature.counts
    assert tuple(np.bincount(other, minlength=bins)) == feature.count(window).counts


def test_a_row_belongs_to_its_utc_date_or_to_its_group() -> None:
    time = "1976-07-01T23:59:59.999999Z"
    kinds: list[Blocks] = ["day", "group", "serial"]
    assert [block_of(kind, time, 7) for kind in kinds] == ["1976-07-01", "7", ""]


@pytest.mark.parametrize(("kind", "blocks"), [("day", [0, 0, 1]), ("serial", [])])
def test_a_reference_keeps_the_bin_and_the_block_of_each_row(
    kind: Blocks, blocks: list[int]
) -> None:
    reference = frozen(kind, [1.0, None, 1.0], ["monday", "monday", "tuesday"])
    document = reference.to_document()
    assert document["dependence"] == {"kind": kind, "bins": [[1, 3, 1]], "blocks": blocks}
    again = reference_from_document(json.loads(canonical_bytes(document)))
    assert again.to_document() == document


def test_a_reference_of_independent_rows_has_no_such_part() -> None:
    target = np.ones(3)
    kept = freeze_reference([], {}, target, target, 10, depending=None)
    assert "dependence" not in kept.to_document()
    first = freeze_reference([], {}, target, target, 10, None, Depending("day", ["a"] * 3))
    assert "dependence" not in first.to_document()  # format 1 has no place for it


DAMAGE: list[dict[str, Any]] = [
    {"kind": "week"},
    {"bins": [[1, 1, 1]]},
    {"bins": [[1, -1, 1]]},
    {"bins": []},
    {"blocks": [0]},
    {"blocks": None},
]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_part_that_does_not_fit_the_reference_is_refused(damage: dict[str, Any]) -> None:
    document = frozen("day", [1.0, None, 1.0], ["a", "a", "b"]).to_document()
    document["dependence"] |= damage
    with pytest.raises(LedgerDamaged, match="cannot be read"):
        reference_from_document(document)


def test_rows_without_a_block_are_not_measured() -> None:
    with pytest.raises(NotMeasurable, match="1 rows have a block, not every row"):
        frozen("day", [1.0, 2.0], ["a"])
    reference = frozen("day", [1.0, 2.0], ["a", "b"])
    with pytest.raises(NotMeasurable, match="0 blocks for 3 rows; give one for each"):
        measured(reference, [1.0, 2.0, 1.0])


def test_rows_that_follow_each_other_are_judged_by_runs() -> None:
    values = following(1_100, 0.95, np.random.default_rng(3)).tolist()
    independent = frozen("serial", values[:1_000], [""] * 1_000)
    report = measured(independent, values[1_000:])
    target = np.linspace(0, 1, 1_000)
    one_by_one = measured(
        freeze_reference([("f", "number")], {"f": values[:1_000]}, target, target, 100),
        values[1_000:],
    )
    assert (report.test, one_by_one.test) == ("serial", "chi-square")
    assert report.psi_max == one_by_one.psi_max > 0.2
    assert one_by_one.features[0].significant  # though nothing drifts
    assert not report.features[0].evidence
    assert report.feature_drift_score == 0
    assert (report.too_few, report.low_power) == ("", False)


def test_no_expectation_is_given_where_its_formula_does_not_hold() -> None:
    values = np.random.default_rng(1).normal(size=700).tolist()
    [found] = measured(frozen("serial", values[:600], [""] * 600), values[600:]).features
    assert (found.psi_expected, found.psi_critical, found.psi_adjusted) == (None, None, None)


def test_too_few_blocks_are_said_in_words_and_take_the_windows_power() -> None:
    values = np.random.default_rng(2).normal(size=700).tolist()
    by_day = measured(frozen("day", values[:500], days(500, 50)), values[500:], days(200, 50))
    in_runs = measured(frozen("serial", values[:500], [""] * 500), values[500:])
    assert by_day.too_few == "4 blocks in the window: too few to tell"
    assert in_runs.too_few == "3 runs of this length: too few to tell"
    for report in (by_day, in_runs):
        assert report.low_power
        assert report.features[0].low_power


def test_a_window_too_small_for_independent_rows_is_too_small_for_dependent_ones() -> None:
    values = np.random.default_rng(2).normal(size=640).tolist()
    report = measured(frozen("day", values[:600], days(600, 5)), values[600:], days(40, 5))
    assert report.too_few == ""
    assert report.low_power


def test_the_draws_of_blocks_begin_with_the_seed() -> None:
    values = np.random.default_rng(5).normal(size=400).tolist()
    reference = frozen("group", values[:300], days(300, 10))
    one, two, other = (
        measured(reference, values[300:], days(100, 10), seed).features[0].p_value
        for seed in ("a", "a", "b")
    )
    assert one == two != other


def test_a_long_tail_of_categories_is_no_evidence_by_blocks_either() -> None:
    chance = np.random.default_rng(6)
    shares = np.arange(1, 301) ** -1.0
    alarms = 0
    for _ in range(40):
        levels = [f"{level}" for level in chance.choice(300, 400, p=shares / shares.sum())]
        target = np.linspace(0, 1, ROWS)
        depending = Depending("group", days(ROWS, 5))
        reference = freeze_reference(
            [("f", "category")], {"f": levels[:ROWS]}, target, target, 100, depending=depending
        )
        alarms += measured(reference, levels[ROWS:], days(100, 5)).features[0].evidence
    assert alarms <= 7  # 40 at 5 % are 2; more than 7 come once in 1,000 times
