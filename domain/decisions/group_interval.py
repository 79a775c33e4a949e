"""Intervals over groups: what would change had other groups been drawn.

Rows of one group are alike, so a hundred rows in five groups say little more than five. Each group
is left out once, and how far the estimate moves gives its standard error (delete-one jackknife);
Student's t with one degree of freedom less than there are groups gives the interval. Nothing is
drawn, so there is no seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.decisions.student_t import student_t, student_t_quantile
from domain.events.findings import GroupInterval
from domain.packed import Whole, numbered

Floats = NDArray[np.float64]

INTERVAL_GROUPS_MIN: Final = 3  # with two the t interval has one degree of freedom and says nothing
_UPPER: Final = 0.975  # of a two-sided 95 % interval


def rmse_difference_interval(
    champion_errors: Floats, candidate_errors: Floats, groups: Sequence[str] | Whole
) -> GroupInterval | None:
    """Champion's RMSE less candidate's, with its interval; `confidence` that the candidate is
    better.

    Args:
        champion_errors: predicted less actual, one a row, any one scale.
        candidate_errors: of the same rows, same scale.
        groups: of the same rows, by name or number.

    None with fewer than 3 groups. Without any spread between groups the interval is a point, and
    the confidence 1, 1/2 or 0 by the sign of the difference.

    Raises:
        ValueError: the three differ in length.

    >>> found = rmse_difference_interval(
    ...     np.array([1, 2, 1, 3, 2, 1.5]), np.array([1, 1, 1, 2, 2, 1.0]), list("aabbcc")
    ... )
    >>> f"{found.estimate:.6f} [{found.low:.6f}, {found.high:.6f}] {found.confidence:.6f}"
    '0.467718 [-0.192205, 1.127641] 0.953596'
    """
    member, rows = _members(groups, champion_errors, candidate_errors)
    if len(rows) < INTERVAL_GROUPS_MIN:
        return None
    squares = [
        np.bincount(member, errors**2, len(rows)).astype(np.float64)
        for errors in (champion_errors, candidate_errors)
    ]
    champion, candidate = (math.sqrt(of.sum() / rows.sum()) for of in squares)
    left = rows.sum() - rows
    without = np.sqrt(_without(squares[0]) / left) - np.sqrt(_without(squares[1]) / left)
    count = len(rows)
    moved = float(np.sum((without - without.mean()) ** 2))
    return _interval(champion - candidate, math.sqrt((count - 1) / count * moved), count)


def sum_interval(values: Floats, groups: Sequence[str] | Whole) -> GroupInterval | None:
    """The sum of `values`, with its interval; `confidence` that it is above 0.

    Args:
        values: one a row, any unit.
        groups: of the same rows, by name or number.

    None with fewer than 3 groups. The standard error is the root of groups times the variance of
    the groups' sums, which is the jackknife's.

    Raises:
        ValueError: the two differ in length.
    """
    member, rows = _members(groups, values)
    count = len(rows)
    if count < INTERVAL_GROUPS_MIN:
        return None
    sums = np.bincount(member, values, count)
    return _interval(float(sums.sum()), math.sqrt(count * float(sums.var(ddof=1))), count)


def _interval(estimate: float, error: float, groups: int) -> GroupInterval:
    freedom = groups - 1
    reach = student_t_quantile(freedom, _UPPER) * error
    if error > 0:
        confidence = student_t(freedom, estimate / error)
    else:
        confidence = 0.5 * (1 + (estimate > 0) - (estimate < 0))
    return GroupInterval(
        estimate=estimate,
        low=estimate - reach,
        high=estimate + reach,
        confidence=confidence,
        groups=groups,
    )


def _members(groups: Sequence[str] | Whole, *columns: Floats) -> tuple[Whole, NDArray[np.intp]]:
    """Which group each row belongs to, as a number from 0, and the rows of each group."""
    lengths = {len(groups), *map(len, columns)}
    if len(lengths) > 1:
        raise ValueError(f"an interval needs one group a row; got lengths {sorted(lengths)}.")
    member = numbered(groups)
    return member, np.bincount(member)


def _without(sums: Floats) -> Floats:
    """The total of all others, for each; never below 0, which rounding could make it."""
    return np.asarray(np.maximum(sums.sum() - sums, 0.0), dtype=np.float64)
