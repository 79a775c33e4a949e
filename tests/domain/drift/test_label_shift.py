"""How far a window's labels moved from the training target, and when that is marked."""

from __future__ import annotations

import numpy as np
import pytest

from domain.drift.bins import numbers_of
from domain.drift.label_shift import label_shift

CHANCE = np.random.default_rng(5)
TRAINED = CHANCE.normal(10, 2, 500)
TARGET = numbers_of("the training target", TRAINED)


def test_labels_like_those_trained_on_are_not_marked() -> None:
    found = label_shift(TARGET, CHANCE.normal(10, 2, 100))
    assert found is not None
    assert (found.rows, found.reference_rows, found.marked) == (100, 500, False)
    assert found.mean_shift == pytest.approx(0, abs=0.3)
    assert found.spread_ratio == pytest.approx(1, abs=0.3)


def test_labels_drawn_at_random_within_the_possible_range_are_marked() -> None:
    found = label_shift(TARGET, CHANCE.uniform(0, 100, 100))
    assert found is not None
    assert found.marked
    assert found.ks_p_value < 1e-6
    assert found.outside_share > 0.7
    assert found.mean_shift is not None
    assert found.mean_shift > 5


def test_a_small_shift_that_is_beyond_chance_is_recorded_and_not_marked() -> None:
    found = label_shift(TARGET, CHANCE.normal(10.6, 2, 2_000))
    assert found is not None
    assert found.ks_p_value < 0.05
    assert not found.marked


@pytest.mark.parametrize(
    "labels", [TRAINED + 1.2, 10 + (TRAINED - 10) * 1.7, 10 + (TRAINED - 10) / 1.7]
)
def test_half_a_deviation_or_half_as_much_spread_is_marked(labels: np.ndarray) -> None:
    found = label_shift(TARGET, labels)
    assert found is not None
    assert found.marked


def test_a_label_without_a_value_on_the_champions_scale_lies_outside_its_range() -> None:
    found = label_shift(TARGET, np.array([10.0, 10.0, 10.0, -np.inf]))
    assert found is not None
    assert (found.rows, found.outside_share) == (4, 0.25)
    assert label_shift(TARGET, np.array([-np.inf])) is None
    assert label_shift(TARGET, np.array([])) is None
