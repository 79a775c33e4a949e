"""How often a comparison that is drifted by nature says so: told before anybody acts on it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import stats

from domain.drift.clean_rate import clean_rate, clean_rate_words
from domain.drift.reference import Reference, freeze_reference

SHA = "ab" * 32


def narrower_by(factor: float, rows: int = 1_000) -> Reference:
    target = np.random.default_rng(8).normal(size=rows)
    return freeze_reference([], {}, target, target * factor, 100)


def test_predictions_as_wide_as_the_target_rarely_look_drifted() -> None:
    assert clean_rate(narrower_by(1.0), SHA, 100) <= 0.1


def test_narrower_predictions_look_drifted_the_more_often_the_more_rows_there_are() -> None:
    reference = narrower_by(0.6)
    few, some, many = (clean_rate(reference, SHA, rows) for rows in (20, 60, 1_000))
    assert few < some < many == 1


def test_the_rate_is_the_share_of_draws_as_far_from_the_target_as_chance_seldom_goes() -> None:
    reference = narrower_by(0.8, rows=300)
    seed = hashlib.sha256(f"whyledger.clean-rate/1|{SHA}|40".encode()).digest()[:8]
    generator = np.random.default_rng(int.from_bytes(seed, "big"))
    far = stats.kstwo.isf(0.05, round(40 * 300 / 340))
    drawn = [reference.out_of_fold.ordered[generator.integers(0, 300, 40)] for _ in range(200)]
    beyond = [stats.ks_2samp(reference.target.ordered, one).statistic >= far for one in drawn]
    assert clean_rate(reference, SHA, 40) == np.mean(beyond)


def test_the_rate_is_drawn_from_the_reference_and_the_rows_alone() -> None:
    reference = narrower_by(0.7)
    assert clean_rate(reference, SHA, 100) == clean_rate(narrower_by(0.7), SHA, 100)
    assert clean_rate(reference, SHA, 100) != clean_rate(reference, "cd" * 32, 100)


def test_predictions_that_are_all_alike_are_measured_too() -> None:
    assert clean_rate(narrower_by(0.0), SHA, 50) == 1
    assert 0 <= clean_rate(narrower_by(0.0, rows=1), SHA, 1) <= 1


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.195, ""),
        (0.2, "holds on unchanged data in about 2 of 10 windows: says little"),
        (0.2004, "holds on unchanged data in about 2.004 of 10 windows: says little"),
        (0.495, "holds on unchanged data in about 4.95 of 10 windows: says little"),
        (0.4996, "holds on unchanged data in about 4.996 of 10 windows: says little"),
        (0.5, "holds on unchanged data in about 5 of 10 windows: says nothing here"),
        (1.0, "holds on unchanged data in about 10 of 10 windows: says nothing here"),
    ],
)
def test_a_rate_is_said_from_a_fifth_on(rate: float, words: str) -> None:
    assert clean_rate_words(rate) == words
