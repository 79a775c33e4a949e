"""Whether a window could have shown a drift: the vectors, and where the answer changes."""

from __future__ import annotations

import pytest
from scipy import stats

from domain.drift.power import low_power, pooled_bins, power


@pytest.mark.parametrize(
    ("bins", "n", "m", "chance"),
    [
        (10, 100, 1_000, 0.867),
        (10, 95, 390, 0.788),
        (10, 100, 100, 0.564),
        (2, 100, 100, 0.885),
        (5, 100, 1_000, 0.945),
    ],
)
def test_power_is_the_chance_to_find_a_psi_of_a_fifth(
    bins: int, n: int, m: int, chance: float
) -> None:
    assert power(bins, n, m) == pytest.approx(chance, abs=5e-4)
    freedom = bins - 1
    beyond = stats.ncx2(freedom, 0.2 / (1 / n + 1 / m)).sf(stats.chi2(freedom).isf(0.05))
    assert power(bins, n, m) == pytest.approx(beyond)


def test_power_is_low_below_a_hundred_rows_and_below_four_in_five() -> None:
    assert low_power(2, 2, 99, 100_000)
    assert not low_power(10, 10, 100, 1_000)
    assert low_power(10, 10, 100, 100)


def test_one_bin_left_has_power_only_where_the_reference_has_one() -> None:
    assert not low_power(1, 1, 100, 1_000)
    assert low_power(1, 2, 100, 1_000)


@pytest.mark.parametrize(
    ("rows", "n", "m", "left"),
    [
        ((100,) * 10, 100, 1_000, 10),
        ((100,) * 10, 49, 1_000, 5),  # 4.9 expected in each
        ((960, 1, 39), 100, 1_000, 1),  # what is left joins the last
        ((960, 1, 49), 100, 1_000, 2),
        ((1, 959, 40), 200, 1_000, 2),  # a rare one joins what follows it
        ((3, 0, 2), 10, 1_000, 1),
        ((), 10, 1_000, 0),
        ((0, 1_000, 0), 10, 1_000, 1),  # bins without reference rows are none
    ],
)
def test_bins_are_pooled_from_the_left_until_each_expects_five_rows(
    rows: tuple[int, ...], n: int, m: int, left: int
) -> None:
    assert pooled_bins(rows, n, m) == left
