"""Student's t distribution, against scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from domain.decisions.student_t import student_t, student_t_quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 31, 100, 999, 5_000])
def test_probabilities_and_quantiles_are_scipys(freedom: int) -> None:
    for t in (-40.0, -3.0, -0.5, 0.0, 0.1, 1.0, 2.5, 9.0, 300.0):
        assert student_t(freedom, t) == pytest.approx(stats.t.cdf(t, freedom), abs=1e-13)
    for probability in (0.6, 0.95, 0.975, 0.999):
        expected = stats.t.ppf(probability, freedom)
        assert student_t_quantile(freedom, probability) == pytest.approx(expected, rel=1e-9)


def test_endless_values_are_certain() -> None:
    assert (student_t(3, math.inf), student_t(3, -math.inf)) == (1, 0)
