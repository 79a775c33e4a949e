"""Whether a champion's error has grown: the figures, the bounds, and how often it is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from msgspec import to_builtins

from domain.canonical import canonical_bytes
from domain.residuals.error_increase import Errors, measure_increase, permuted, t_statistics
from domain.residuals.frozen import Residual

SHA = "a" * 64
WINDOW = (1, 4, 2.25, 6.25, 4, 9)
HOLDOUT = (1, 0.25, 2.25, 1, 0.5, 1)


def residuals(values: object, groups: int) -> Errors:
    """One row a value, in `groups` groups by turns."""
    found = np.asarray(values, np.float64).tolist()
    return Errors.of(
        Residual(f"row={n}", f"g{n % groups}", "t", value) for n, value in enumerate(found)
    )


def test_single_rows_come_to_the_published_figures() -> None:
    squares = np.array([*WINDOW, *HOLDOUT])
    t, p = permuted(squares, np.ones(12), 6, seed=1)
    assert t == pytest.approx(3.843333, abs=1e-6)
    assert 0.004 <= p <= 0.017  # exactly 9 of 924 choices


def test_the_ratio_is_that_of_the_root_mean_squares() -> None:
    generator = np.random.default_rng(1)
    errors = generator.normal(size=100)
    found = measure_increase(
        residuals(errors * 1.3, 20), residuals(errors, 20), reference_sha256=SHA, cycle="m-2"
    )
    assert found.error_ratio == pytest.approx(1.3)
    assert found.note == ""
    again = measure_increase(
        residuals(errors * 1.3, 20), residuals(errors, 20), reference_sha256=SHA, cycle="m-2"
    )
    assert again == found


@pytest.mark.parametrize(("window", "p"), [(2.0, 1 / 2_000), (0.5, 1.0)])
def test_where_no_group_differs_from_its_side_t_is_null_with_the_reason_and_p_holds(
    window: float, p: float
) -> None:
    """Given equal squares in every group of a side, then what is recorded fits the ledger."""
    found = measure_increase(
        residuals([window] * 50, 25), residuals([1.0] * 40, 20), reference_sha256=SHA, cycle="m-2"
    )
    assert (found.error_ratio, found.t_statistic) == (window, None)
    assert found.error_increase_p == p
    assert found.note.startswith("t is infinite: ")
    assert canonical_bytes(to_builtins(found))


@pytest.mark.parametrize(
    ("window", "groups", "holdout", "holdout_groups", "says"),
    [
        (49, 7, 20, 5, "49 labelled rows in the window; at least 50 are needed"),
        (50, 7, 19, 5, "19 residuals frozen at the promotion; at least 20 are needed"),
        (50, 4, 20, 5, "4 groups in the window; at least 5 are needed"),
        (50, 5, 20, 4, "4 groups in the promotion holdout; at least 5 are needed"),
    ],
)
def test_with_too_little_to_measure_by_it_is_unknown_and_says_why(
    window: int, groups: int, holdout: int, holdout_groups: int, says: str
) -> None:
    generator = np.random.default_rng(2)
    found = measure_increase(
        residuals(generator.normal(size=window), groups),
        residuals(generator.normal(size=holdout), holdout_groups),
        reference_sha256=SHA,
        cycle="m-2",
    )
    assert (found.error_ratio, found.error_increase_p, found.note) == (None, None, says)


def test_without_any_error_on_one_side_there_is_no_ratio() -> None:
    found = measure_increase(
        residuals(np.ones(50), 5), residuals(np.zeros(20), 5), reference_sha256=SHA, cycle="m-2"
    )
    assert found.note == "every error is 0 on one side"


def test_sides_without_spread_differ_endlessly_or_not_at_all() -> None:
    chosen = np.array([[True, True, False, False]])
    assert t_statistics(np.array([4.0, 4, 1, 1]), np.ones(4), chosen)[0] == math.inf
    assert t_statistics(np.ones(4), np.ones(4), chosen)[0] == 0
    assert t_statistics(np.array([0.0, 0, 1, 1]), np.ones(4), chosen)[0] == -math.inf


def test_on_unchanged_errors_it_is_below_5_percent_about_as_often() -> None:
    generator = np.random.default_rng(3)
    below = 0
    for number in range(100):
        found = measure_increase(
            residuals(generator.normal(size=100), 100),
            residuals(generator.normal(size=40), 40),
            reference_sha256=SHA,
            cycle=f"m-{number}",
        )
        below += (found.error_increase_p or 1) < 0.05
    assert below <= 11  # 5 are expected
