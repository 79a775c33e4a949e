"""Evidence in categories with long tails: the vectors, sums by hand, and what no drift gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from domain.drift.bins import freeze_categories
from domain.drift.levels import Level, in_window_alone, level_p_value, pool
from domain.packed import Value

Rows = Mapping[str, int]

A: tuple[Rows, Rows] = (
    {"a": 50, "b": 30, "c": 10, "d": 5, "e": 2, "f": 1, "g": 1, "h": 1},
    {"a": 30, "b": 12, "c": 4, "x": 3, "y": 1},
)
B: tuple[Rows, Rows] = ({"a": 60, "b": 40}, {"a": 20, "b": 30})
C: tuple[Rows, Rows] = (
    dict.fromkeys([f"l{n}" for n in range(40)], 1) | {"a": 100, "b": 60},
    dict.fromkeys([f"l{n}" for n in range(30, 50)], 1) | {"a": 48, "b": 27, "z": 5},
)


def levels(reference: Rows, window: Rows) -> list[Level]:
    return [
        Level(reference.get(name, 0), window.get(name, 0)) for name in sorted({*reference, *window})
    ]


def column(rows: Rows) -> list[str]:
    return [name for name, often in rows.items() for _ in range(often)]


def test_the_chance_that_rows_all_lie_in_the_window_is_that_of_drawing_them() -> None:
    found = in_window_alone([1, 2, 3, 5, 101], 1_000, 100)
    assert found == pytest.approx([0.09090909, 0.00818926, 0.00073092, 5.66e-06, 0], rel=5e-4)
    drawn = stats.hypergeom(1_100, 7, 100).pmf(7)
    assert in_window_alone([7], 1_000, 100)[0] == pytest.approx(drawn)


@pytest.mark.parametrize(
    ("case", "p"), [(A, 0.117401), (B, 0.020638), (C, 0.011534)], ids=["a", "b", "c"]
)
def test_the_p_value_is_that_of_the_published_vectors(case: tuple[Rows, Rows], p: float) -> None:
    assert level_p_value(levels(*case)) == pytest.approx(p, abs=5e-7)


def test_levels_have_a_cell_of_their_own_where_both_sides_together_expect_five_rows() -> None:
    found = pool(levels(*A), 100, 50)
    assert found.cells == (Level(50, 30), Level(30, 12), Level(20, 8))
    assert stats.chi2_contingency(found.cells, correction=False).pvalue == pytest.approx(
        0.511891, abs=5e-7
    )
    assert Counter(found.rare)[Level(1, 0)] == 3


def test_a_rest_that_expects_fewer_than_five_rows_joins_the_rarest_of_the_others() -> None:
    found = pool([Level(50, 50), Level(20, 20), Level(20, 20), Level(2, 1)], 92, 91)
    assert found.cells == (Level(50, 50), Level(22, 21), Level(20, 20))
    assert pool([Level(2, 1)], 92, 91).cells == (Level(2, 1),)


def test_levels_without_any_tail_are_judged_by_chi_square_alone() -> None:
    by_scipy = stats.chi2_contingency([(60, 20), (40, 30)], correction=False).pvalue
    assert level_p_value(levels(*B)) == pytest.approx(by_scipy)


def test_a_level_too_rare_to_come_by_chance_is_evidence_however_small_the_numbers_get() -> None:
    many = [Level(1_000_000, 900), Level(0, 100)]
    assert 0 <= level_p_value(many) < 1e-100


def test_levels_of_an_empty_side_are_refused() -> None:
    with pytest.raises(ValueError, match="rows on both sides; got 3 and 0"):
        level_p_value([Level(3, 0)])


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=30))
def test_any_levels_have_a_p_value_whatever_their_order(pairs: list[tuple[int, int]]) -> None:
    found = [Level(1, 1), *(Level(*pair) for pair in pairs)]
    assert 0 <= level_p_value(found) <= 1
    doubled = [Level(sum(row), sum(row)) for row in found]
    assert level_p_value(doubled) == 1


def test_levels_seen_once_stand_for_those_nobody_saw_before() -> None:
    frozen = freeze_categories("maker", column(A[0]), window=100)
    assert frozen.bins == ("a", "b", "c", "d", "(other)", "(new)", "(missing)")
    assert frozen.counts == (50, 30, 10, 5, 2, 3, 0)
    assert frozen.pooled_counts == (2, 1, 1, 1)
    assert frozen.count(column(A[1])).counts == (30, 12, 4, 0, 0, 4, 0)


def test_missing_is_a_level_and_the_order_of_rows_changes_nothing() -> None:
    frozen = freeze_categories("maker", ["b", None, "a", 3, "c"], window=100)
    window: list[Value] = ["d", "a", 2, None, "a", "b"]
    found = [frozen.levels_of(frozen.count(rows), missing=True) for rows in (window, window[::-1])]
    in_order = [(0, 1), (1, 0), (1, 2), (1, 1), (1, 0), (0, 1), (1, 1)]  # 2, 3, a, b, c, d, missing
    assert found == [tuple(Level(*pair) for pair in in_order)] * 2
    assert frozen.levels_of(frozen.count(window), missing=False) == found[0][:-1]


def test_a_reference_of_the_first_format_knows_its_pooled_levels_only_together() -> None:
    frozen = freeze_categories("maker", column(A[0]), window=100, first=True)
    assert (frozen.pooled_counts, frozen.counts[-2]) == (None, 0)
    found = frozen.levels_of(frozen.count(column(A[1])), missing=False)
    assert found == (*map(Level, (50, 30, 10, 5), (30, 12, 4, 0)), Level(5, 0), Level(0, 4))


def test_a_long_tail_alone_is_rarely_evidence_and_a_new_level_of_a_twentieth_is() -> None:
    draw = np.random.default_rng(300)
    shares = 1 / np.arange(1, 301)
    shares /= shares.sum()
    false = found = 0
    for _ in range(100):
        m, n = (draw.multinomial(1_000, shares) for _ in range(2))
        false += (
            level_p_value([Level(*pair) for pair in zip(m.tolist(), n.tolist(), strict=True)])
            < 0.05
        )
        n[0] -= 50  # the commonest gives way to a level nobody saw
        pairs = [*zip(m.tolist(), np.maximum(n, 0).tolist(), strict=True), (0, 50)]
        found += level_p_value([Level(*pair) for pair in pairs]) < 0.05
    assert false <= 12
    assert found == 100


def test_a_new_level_whose_chance_is_below_the_smallest_double_has_none() -> None:
    rows = [Level(1_000_000, 20), Level(0, 80)]
    assert in_window_alone([80], 1_000_000, 100)[0] < 1e-300
    assert level_p_value(rows) == pytest.approx(0, abs=1e-300)
