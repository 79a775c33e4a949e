"""`residual_evidence`: its figures, and that it may be looked at for ever."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.residuals import evidence
from domain.residuals.evidence import (
    DETECTORS,
    FACT_MAX,
    Ranked,
    advance,
    begun,
    fact,
    restaked,
    tie,
)

HOLDOUT = (-1.0, -0.5, 0.0, 0.5, 1.0)
VERSION = "car-price/1"


def entries(*residuals: float) -> list[Ranked]:
    """Rows that stand for themselves, named in their order."""
    return [Ranked.of_row(f"row={n}", residual) for n, residual in enumerate(residuals)]


@pytest.fixture
def ties_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tie is broken in its middle, as the published figures have it."""
    monkeypatch.setattr(evidence, "tie", lambda *_: 0.5)


@pytest.mark.usefixtures("ties_in_the_middle")
def test_three_cycles_come_to_the_published_figures() -> None:
    first = advance(begun(entries(*HOLDOUT)), entries(2, -3), model_version=VERSION, days=1)
    assert first.log_wealth == pytest.approx(
        (
            *(0.383398, 0.704982, 1.131402),
            *(-0.051920, -0.039459, -0.211309, -0.182322, -0.916291, -0.814508),
        ),
        abs=1e-6,
    )
    assert first.log_days == pytest.approx(0.381774, abs=1e-6)
    second = advance(first, [], model_version=VERSION, days=1)
    assert second.log_days == pytest.approx(0.902144, abs=1e-6)
    third = advance(second, entries(0.5), model_version=VERSION, days=2)
    assert third.log_days == pytest.approx(1.359398, abs=1e-6)
    assert len(third.signed) == len(third.magnitudes) == len(HOLDOUT) + 3


def test_a_tie_is_broken_by_version_row_and_detector_alone() -> None:
    first = tie("car-sales/1", "year=1976|car_id=1", "abs")
    assert first == pytest.approx(0.000949190627, abs=1e-12)
    others = {
        tie("car-sales/2", "year=1976|car_id=1", "abs"),
        tie("car-sales/1", "year=1976|car_id=2", "abs"),
        tie("car-sales/1", "year=1976|car_id=1", "signed"),
    }
    assert len(others | {first}) == 4
    assert all(0 < each < 1 for each in others)


def test_the_detectors_share_one_stake() -> None:
    assert len(DETECTORS) == 9
    assert math.fsum(detector.weight for detector in DETECTORS) == pytest.approx(1)
    assert begun(entries(*HOLDOUT)).days == 0
    no_rows = advance(begun(()), [], model_version=VERSION, days=30)
    assert no_rows.days == pytest.approx(30)


def test_no_days_stake_nothing() -> None:
    assert advance(begun(entries(*HOLDOUT)), entries(2), model_version=VERSION, days=0).days == 0


def test_a_training_that_promoted_nobody_restakes_and_keeps_the_memory() -> None:
    before = advance(begun(entries(*HOLDOUT)), entries(9), model_version=VERSION, days=10)
    after = restaked(before)
    assert (after.days, after.signed.tolist()) == (0, before.signed.tolist())


def test_what_a_double_cannot_hold_is_the_largest_fact() -> None:
    rows = entries(*(5.0 + n for n in range(3_000)))
    found = advance(begun(entries(*HOLDOUT * 100)), rows, model_version=VERSION, days=1)
    assert found.log_days > 700
    assert found.days == fact(found.log_days) == FACT_MAX


def test_clean_years_stay_below_ten_years_and_a_shift_is_found_within_days() -> None:
    generator = np.random.default_rng(20240601)
    runs, false, delays = 40, 0, []
    for run in range(runs):
        state, over = begun(entries(*generator.normal(size=60))), False
        for day in range(120):
            shift = 0.5 if day >= 60 else 0.0
            rows = [
                Ranked.of_row(f"{run}/{day}/{n}", x + shift)
                for n, x in enumerate(generator.normal(size=20))
            ]
            state = advance(state, rows, model_version=VERSION, days=1)
            if state.log_days > math.log(3_650):
                false += day < 60
                delays += [day - 59] if day >= 60 else []
                over = True
                break
        assert over, "a shift of half a standard deviation was not found in 60 days"
    assert false <= 4  # 60 of 3,650 days bound it by 1.6 %
    assert sorted(delays)[len(delays) // 2] <= 7


@given(
    st.lists(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0]), max_size=40),
    st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.25, 0.5, 1.0, 3.0]), max_size=60),
    st.integers(1, 7),
)
def test_the_memory_is_two_ordered_arrays_and_each_rank_is_as_if_all_were_sorted_every_time(
    frozen: list[float], arrived: list[float], apart: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "_LATEST_MAX", apart)
        found = advance(begun(entries(*frozen)), entries(*arrived), model_version=VERSION, days=2)
    assert found.signed.tolist() == sorted([*frozen, *arrived])
    assert found.magnitudes.tolist() == sorted(map(abs, [*frozen, *arrived]))
    assert found.log_wealth == plainly(frozen, arrived, days=2)


def plainly(frozen: list[float], arrived: list[float], days: float) -> tuple[float, ...]:
    """What each bet is worth, with every value sorted in as it comes."""
    memory = {"abs": sorted(map(abs, frozen)), "signed": sorted(frozen)}
    won = [0.0] * len(DETECTORS)
    for each in entries(*arrived):
        ranks = {}
        for looks, value in (("abs", each.magnitude), ("signed", each.signed)):
            known = memory[looks]
            less, equal = sum(one < value for one in known), known.count(value)
            at = tie(VERSION, each.identity, looks)  # type: ignore[arg-type]
            ranks[looks] = (less + at * (1 + equal)) / (len(known) + 1)
            memory[looks] = sorted([*known, value])
        for k, detector in enumerate(DETECTORS):
            won[k] += math.log1p(detector.rate * (ranks[detector.looks_at] - 0.5))
    # ln of a stake without wealth before it, as `advance` adds them
    return tuple(math.log(days) + gain for gain in won)
