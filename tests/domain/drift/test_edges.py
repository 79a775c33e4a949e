"""Where a number is cut: float32 reads the same bins as double."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.drift.bins import freeze_numbers
from domain.drift.measurement import measure_drift
from domain.drift.reference import freeze_reference

VALUES = st.sampled_from([0.1, 0.7, 1 / 3, 1.1, -2.3, 1e9 + 0.1]) | st.floats(-1e30, 1e30)
COLUMNS = st.lists(VALUES.filter(lambda v: v == 0 or abs(v) > 1e-30), min_size=1, max_size=60)


def as_float32(values: list[float]) -> list[float]:
    return np.array(values, dtype=np.float32).astype(np.float64).tolist()  # type: ignore[no-any-return]


@given(COLUMNS, COLUMNS)
def test_a_column_served_as_float32_falls_into_the_bins_of_its_doubles(
    trained: list[float], window: list[float]
) -> None:
    frozen = freeze_numbers("size", trained)
    assert frozen.count(as_float32(trained)).counts == frozen.counts
    assert frozen.count(as_float32(window)).counts == frozen.count(window).counts


@settings(max_examples=30)
@given(COLUMNS)
def test_a_column_trained_on_doubles_and_served_as_float32_has_the_psi_of_no_drift(
    column: list[float],
) -> None:
    target = np.arange(len(column), dtype=float)
    reference = freeze_reference([("n", "number")], {"n": column}, target, target, 40)
    assert measure_drift(reference, {"n": as_float32(column)}, target).psi_max == 0


@settings(max_examples=30)
@given(COLUMNS)
def test_a_column_trained_on_float32_may_be_served_as_doubles(column: list[float]) -> None:
    frozen = freeze_numbers("size", as_float32(column))
    assert frozen.count(column).counts == frozen.counts


def test_a_point_mass_is_called_by_its_value_and_is_as_wide_as_float32_rounding() -> None:
    frozen = freeze_numbers("rate", [0.1] * 400 + [float(n) for n in range(1, 601)])
    assert frozen.bins[:2] == ("< 0.1", "= 0.1")
    assert frozen.bins[2].startswith("(0.1, ")
    beside = [0.1 - 1e-8, 0.1, float(np.float32(0.1)), 0.1 + 1e-8]
    assert frozen.count(beside).counts[:3] == (1, 2, 1)


def test_the_first_form_told_doubles_apart_to_the_last_bit() -> None:
    frozen = freeze_numbers("rate", [0.1] * 50, first=True)
    assert frozen.count([0.1, float(np.float32(0.1))]).counts == (0, 1, 1, 0)
    assert frozen.bins == ("< 0.1", "= 0.1", "> 0.1", "(missing)")


@pytest.mark.parametrize("size", [1e-60, 1e60], ids=["too small", "too large"])
def test_values_that_float32_cannot_hold_are_cut_as_doubles(size: float) -> None:
    frozen = freeze_numbers("size", [size * n for n in range(1, 101)])
    assert frozen.counts == (10,) * 10 + (0,)
    massed = freeze_numbers("size", [size] * 50)
    assert massed.counts == (0, 50, 0, 0)
