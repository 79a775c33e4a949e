"""The tests behind drift: against scipy, against published figures, against sums done by hand."""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from domain.drift.statistics import Floats, benjamini_hochberg, ks, moments, psi, shift
from tests.repository import REPOSITORY

VECTORS = REPOSITORY / "tests" / "vectors" / "drift"

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
SAMPLES = st.lists(NUMBERS, min_size=1, max_size=60)
TIED_SAMPLES = st.lists(st.integers(0, 4).map(float), min_size=1, max_size=60)
COUNTS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=15)


def vector(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text())


def both_ways(a: Floats, b: Floats) -> None:
    """Ours equals scipy's bit for bit, whichever sample is called the reference."""
    with warnings.catch_warnings():
        # Near p = 1 scipy's sum exceeds 1 by rounding; it warns, and answers asymptotically.
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = stats.ks_2samp(a, b, method="auto")
    assert ks(np.sort(a), b) == (theirs.statistic, theirs.pvalue)
    assert ks(np.sort(b), a) == (theirs.statistic, theirs.pvalue)


@given(SAMPLES, SAMPLES)
@example([1.0], [1.0])
@example([1.0], [2.0])
@example([0.0], [-0.0])
@example([0.0] * 5, [0.0] * 4 + [1.0])  # scipy falls back to the asymptotic p here
def test_exact_ks_equals_scipy_to_the_bit(a: list[float], b: list[float]) -> None:
    both_ways(np.array(a), np.array(b))


@given(TIED_SAMPLES, TIED_SAMPLES)
def test_exact_ks_equals_scipy_to_the_bit_when_values_are_tied(
    a: list[float], b: list[float]
) -> None:
    both_ways(np.array(a), np.array(b))


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.sampled_from([1, 2, 50, 999, 10_000, 10_001, 15_000]),
    decimals=st.sampled_from([0, 1, 3, 15]),
    moved=st.sampled_from([0.0, 0.05, 3.0]),
)
def test_asymptotic_ks_equals_scipy_to_the_bit(
    seed: int, rows: int, decimals: int, moved: float
) -> None:
    draw = np.random.default_rng(seed)
    large = np.round(draw.normal(size=10_001 + seed % 500), decimals)
    both_ways(large, np.round(draw.normal(moved, size=rows), decimals))


@pytest.mark.parametrize(("n", "m"), [(10_000, 10_000), (10_000, 9_999), (10_000, 1)])
def test_ks_is_exact_up_to_and_with_ten_thousand_rows(n: int, m: int) -> None:
    draw = np.random.default_rng(7)
    a, b = draw.normal(size=n), draw.normal(0.02, size=m)
    both_ways(a, b)
    exact = stats.ks_2samp(a, b, method="exact")
    assert ks(np.sort(a), b).p_value == exact.pvalue


@pytest.mark.parametrize("case", vector("smirnov-small-samples")["cases"])
def test_ks_gives_the_published_small_sample_probabilities(case: dict[str, int]) -> None:
    rows, steps = case["rows"], case["steps"]
    # The first `steps` reference values lie below every current value, the rest alternate after.
    reference = np.array([*range(steps), *(100 + 2 * i for i in range(rows - steps))], dtype=float)
    current = np.array([50 + i for i in range(steps)] + [101 + 2 * i for i in range(rows - steps)])
    found = ks(reference, current.astype(float))
    assert found.statistic == pytest.approx(steps / rows)
    assert found.p_value == pytest.approx(case["paths"] / case["of"])


def test_ks_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs rows on both sides; got 0 and 1"):
        ks(np.array([]), np.array([1.0]))


@pytest.mark.parametrize("case", vector("psi")["cases"], ids=lambda case: case["name"])
def test_psi_equals_the_sum_done_by_hand(case: dict[str, Any]) -> None:
    found = psi(case["reference"], case["current"])
    scale = 1 / sum(case["reference"]) + 1 / sum(case["current"])
    assert found.value == pytest.approx(case["psi"], abs=1e-9)
    assert found.expected == pytest.approx((case["bins"] - 1) * scale)
    assert found.critical == pytest.approx(stats.chi2.isf(0.05, case["bins"] - 1) * scale)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.value / scale, case["bins"] - 1))


@given(COUNTS)
def test_psi_is_never_negative_symmetric_and_zero_for_equal_windows(
    pairs: list[tuple[int, int]],
) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    assume(sum(a) > 0 and sum(b) > 0)
    there, back = psi(a, b), psi(b, a)
    assert there.value >= 0
    assert 0 <= there.p_value <= 1
    assert there.value == pytest.approx(back.value)
    assert psi(a, a).value == 0
    assert psi(a, a).p_value == 1


@given(COUNTS, st.randoms())
def test_psi_does_not_depend_on_the_order_of_bins(pairs: list[tuple[int, int]], order: Any) -> None:
    mixed = list(pairs)
    order.shuffle(mixed)
    assume(sum(a for a, _ in pairs) > 0 and sum(b for _, b in pairs) > 0)
    one, other = (psi(*zip(*p, strict=True)) for p in (pairs, mixed))
    assert one == pytest.approx(other)


def test_psi_of_a_single_bin_says_nothing() -> None:
    assert psi([0, 90], [0, 20]) == (0.0, 0.0, 0.0, 1.0)


def test_psi_refuses_windows_binned_differently_or_without_rows() -> None:
    with pytest.raises(ValueError, match="2 and 3 bins"):
        psi([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="got 3 and 0"):
        psi([1, 2], [0, 0])


def test_under_no_drift_psi_has_the_expectation_and_critical_value_it_prints() -> None:
    draw = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    found = [
        psi(a, b)
        for a, b in zip(
            draw.multinomial(2_000, shares, 2_000).tolist(),
            draw.multinomial(500, shares, 2_000).tolist(),
            strict=True,
        )
    ]
    assert np.mean([f.value for f in found]) == pytest.approx(found[0].expected, rel=0.05)
    assert np.mean([f.value > f.critical for f in found]) == pytest.approx(0.05, abs=0.02)


def test_evidence_is_that_of_the_published_example() -> None:
    published = vector("benjamini-hochberg-1995")
    found = benjamini_hochberg(published["p_values"], published["level"])
    assert sum(found) == published["rejected"]
    assert all(found[: published["rejected"]])


@given(st.lists(st.floats(0, 1), max_size=20))
def test_evidence_equals_scipys_adjusted_p_values(p_values: list[float]) -> None:
    adjusted = stats.false_discovery_control(p_values).tolist() if p_values else []
    assume(all(abs(p - 0.05) > 1e-9 for p in adjusted))  # rounding decides there
    assert benjamini_hochberg(p_values) == tuple(p <= 0.05 for p in adjusted)


def test_a_rejected_p_value_carries_smaller_ones_that_fail_alone() -> None:
    assert benjamini_hochberg([0.049, 0.04, 0.045]) == (True, True, True)
    assert benjamini_hochberg([0.04, 0.9, 0.9]) == (False, False, False)


def test_the_mean_is_judged_by_welchs_published_example() -> None:
    a = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4]
    b = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4]
    found = shift(moments(np.array(a)), moments(np.array(b)))
    assert found.mean_p_value == pytest.approx(0.021, abs=5e-4)


@given(st.lists(NUMBERS, min_size=2, max_size=40), st.lists(NUMBERS, min_size=2, max_size=40))
def test_mean_and_spread_are_judged_as_by_scipy(a: list[float], b: list[float]) -> None:
    assume(min(np.std(a), np.std(b)) > 1e-3)
    found = shift(moments(np.array(a)), moments(np.array(b)))
    assert found.mean == pytest.approx((np.mean(b) - np.mean(a)) / np.std(a, ddof=1))
    assert found.spread_ratio == pytest.approx(np.std(b, ddof=1) / np.std(a, ddof=1))
    assert found.mean_p_value == pytest.approx(
        stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-6
    )
    if found.spread_p_value is not None:
        deviations = [np.abs(np.array(x) - np.median(x)) for x in (a, b)]
        assume(max(np.std(x) for x in deviations) > 1e-3)
        levene = stats.levene(a, b, center="median").pvalue
        assert found.spread_p_value == pytest.approx(levene, rel=1e-6, abs=1e-12)


def test_nothing_is_said_relative_to_a_reference_that_does_not_vary() -> None:
    constant, other = moments(np.full(1_000, 0.1)), moments(np.array([0.1, 0.2, 0.4]))
    found = shift(constant, other)
    assert constant is not None
    assert constant.sd == 0  # not the 1e-17 that summing 0.1 a thousand times leaves
    assert found.mean is None
    assert found.spread_ratio is None
    assert found.mean_p_value is not None
    assert shift(constant, constant).mean_p_value is None
    assert shift(constant, constant).spread_p_value is None


def test_one_value_has_no_moments() -> None:
    assert moments(np.array([1.0])) is None
    assert shift(None, moments(np.array([1.0, 2.0]))) == (None, None, None, None)


def test_sizes_apart_by_more_than_a_double_give_no_ratio() -> None:
    tiny, huge = moments(np.array([1e-200, 3e-200])), moments(np.array([1e149, 3e149]))
    assert shift(tiny, huge).mean is None
    assert not math.isinf(shift(huge, tiny).mean or 0)
