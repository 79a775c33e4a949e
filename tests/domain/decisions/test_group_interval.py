"""Intervals over groups: the published vector, and what few groups say.

How often they cover: `tests/benchmarks/simulations/test_group_intervals.py`.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.decisions.group_interval import rmse_difference_interval, sum_interval

CHAMPION = np.array([1, 2, 1, 3, 2, 1.5])
CANDIDATE = np.array([1, 1, 1, 2, 2, 1.0])
GROUPS = list("aabbcc")


def test_the_vector_of_six_rows_in_three_groups_gives_its_figures() -> None:
    found = rmse_difference_interval(CHAMPION, CANDIDATE, GROUPS)

    assert found is not None
    assert found.estimate == pytest.approx(0.467718, abs=5e-7)
    assert (found.low, found.high) == pytest.approx((-0.192205, 1.127641), abs=5e-7)
    assert found.confidence == pytest.approx(0.953596, abs=5e-7)
    assert found.groups == 3


def test_the_interval_of_a_sum_is_t_times_the_root_of_groups_times_their_variance() -> None:
    # group sums 3, 1, 5: variance 4, so the standard error is sqrt(3 * 4), and t(2) is 4.302653
    found = sum_interval(np.array([1, 2, 1, 2, 3.0]), list("aabcc"))

    assert found is not None
    assert found.estimate == 9
    assert found.high - found.low == pytest.approx(2 * 4.302653 * math.sqrt(12), rel=1e-6)


@pytest.mark.parametrize("groups", [[], ["a"] * 6, list("aaabbb")])
def test_fewer_than_three_groups_have_no_interval(groups: list[str]) -> None:
    rows = len(groups)

    assert rmse_difference_interval(CHAMPION[:rows], CANDIDATE[:rows], groups) is None
    assert sum_interval(CHAMPION[:rows], groups) is None


@pytest.mark.parametrize(("candidate", "confidence"), [(1.0, 1.0), (2.0, 0.5), (3.0, 0.0)])
def test_without_spread_between_groups_the_sign_alone_says_how_sure_it_is(
    candidate: float, confidence: float
) -> None:
    found = rmse_difference_interval(np.full(6, 2.0), np.full(6, candidate), GROUPS)

    assert found is not None
    assert (found.low, found.high) == (found.estimate, found.estimate)
    assert found.confidence == confidence


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one group a row; got lengths \[2, 6\]"):
        rmse_difference_interval(CHAMPION, CANDIDATE, ["a", "b"])


_ERRORS = st.lists(
    st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.sampled_from("abcd")), min_size=4, max_size=20
)


@given(_ERRORS)
def test_swapping_the_models_mirrors_the_interval(rows: list[tuple[float, float, str]]) -> None:
    ours, theirs = (np.array([row[side] for row in rows]) for side in (0, 1))
    groups = [row[2] for row in rows]

    found = rmse_difference_interval(ours, theirs, groups)
    mirrored = rmse_difference_interval(theirs, ours, groups)

    assert (found is None) == (mirrored is None) == (len(set(groups)) < 3)
    if found and mirrored:
        assert (found.estimate, found.low, found.high) == pytest.approx(
            (-mirrored.estimate, -mirrored.high, -mirrored.low), abs=1e-12
        )
