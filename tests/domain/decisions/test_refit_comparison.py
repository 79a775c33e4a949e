"""A refitted plan against the gated one, on the same rows."""

from __future__ import annotations

import pytest

from domain.decisions.refit_comparison import compare_refit

GATED = (1.0, 2.0, 1.0, 3.0, 2.0, 1.5)
REFITTED = (1.0, 1.0, 1.0, 2.0, 2.0, 1.0)


def test_the_interval_is_that_of_gated_minus_refitted_over_groups() -> None:
    found = compare_refit(REFITTED, GATED, list("aabbcc"))
    assert (found.rows, found.groups, found.note) == (6, 3, "")
    assert found.interval is not None
    measured = found.interval
    assert (measured.estimate, measured.low, measured.high) == pytest.approx(
        (0.467718, -0.192205, 1.127641), abs=1e-6
    )
    assert found.rmse_gated is not None
    assert found.rmse_refitted is not None
    assert found.rmse_gated - found.rmse_refitted == pytest.approx(measured.estimate)


def test_a_row_without_a_residual_of_one_of_them_counts_for_neither() -> None:
    found = compare_refit((*REFITTED, None, 9.0), (*GATED, 9.0, None), list("aabbccdd"))
    assert found == compare_refit(REFITTED, GATED, list("aabbcc"))


def test_too_few_groups_have_figures_and_no_interval() -> None:
    found = compare_refit(REFITTED, GATED, list("aabbbb"))
    assert found.interval is None
    assert found.rmse_refitted is not None
    assert found.note == "not enough groups for an interval: 2 of 3"


def test_no_rows_have_no_figures() -> None:
    found = compare_refit([], [], [])
    assert (found.rows, found.rmse_refitted, found.rmse_gated) == (0, None, None)
    assert found.note == "no row that both have a residual for"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="got 1, 2 and 2"):
        compare_refit([0.1], [0.1, 0.2], ["a", "b"])
