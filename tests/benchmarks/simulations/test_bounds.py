"""A bound is broken by what chance does once in a thousand times, and by nothing less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from benchmarks.simulations.bounds import CHANCE, Bound, interval


def test_what_chance_allows_shrinks_with_the_runs() -> None:
    few, many = (Bound("false", 0, runs, "at most", 0.05) for runs in (50, 2_000))
    assert (few.allowed, many.allowed) == (8, 131)  # 16 % and 6.55 %
    assert few.short == "false ≤ 5 % (16 %)"


@pytest.mark.parametrize(("hits", "kept"), [(130, True), (131, True), (132, False), (2_000, False)])
def test_a_share_above_what_chance_allows_breaks_its_bound(hits: int, kept: bool) -> None:
    found = Bound("false evidence", hits, 2_000, "at most", 0.05)
    assert found.kept is kept
    assert found.short.endswith(" **broken**") is not kept


def test_a_broken_bound_says_what_was_found_what_must_be_and_what_chance_allows() -> None:
    assert Bound("coverage", 2_700, 3_000, "at least", 0.93).sentence == (
        "coverage 90 %, and it must be at least 93 %, or down to 91.5 % by chance in 3,000 runs"
    )


@given(
    st.integers(1, 3_000),
    st.floats(0.001, 0.999),
    st.sampled_from(["at most", "at least"]),
)
def test_a_true_share_at_the_bound_breaks_it_once_in_a_thousand_times_at_most(
    runs: int, share: float, side: str
) -> None:
    allowed = Bound("x", 0, runs, side, share).allowed  # type: ignore[arg-type]
    if side == "at most":
        beyond, next_to = binom.sf(allowed, runs, share), binom.sf(allowed - 1, runs, share)
    else:
        beyond, next_to = binom.cdf(allowed - 1, runs, share), binom.cdf(allowed, runs, share)
    assert beyond <= CHANCE * (1 + 1e-9) < next_to * (1 + 2e-9)


def test_the_interval_of_a_share_is_clopper_and_pearsons() -> None:
    assert interval(0, 10) == pytest.approx((0, 0.308497), abs=1e-6)
    assert interval(5, 10) == pytest.approx((0.187086, 0.812914), abs=1e-6)
    assert interval(10, 10) == pytest.approx((0.691503, 1), abs=1e-6)
