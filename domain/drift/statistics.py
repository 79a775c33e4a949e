"""Distances and tests between two samples, each with its meaning and its source.

PSI with its chi-square test, Kolmogorov-Smirnov, Welch, Brown-Forsythe, Benjamini-Hochberg. Plain
arrays in, plain Python numbers out; which bins and which windows is decided in `bins.py` and
`drift.py`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from domain.events import findings

Floats = NDArray[np.float64]

LEVEL: Final = findings.LEVEL
EXACT_ROWS_MAX: Final = 10_000  # up to here ks_2samp(method="auto") counts lattice paths
_ROUNDING: Final = 64 * float(np.finfo(np.float64).eps)  # relative; below it a spread is noise


class KolmogorovSmirnov(NamedTuple):
    """The two-sample test: a distance in [0, 1] and a probability, which point opposite ways."""

    statistic: float
    p_value: float


class Psi(NamedTuple):
    """A population stability index with what it would be under no drift."""

    value: float  # nats
    expected: float  # its mean under no drift
    critical: float  # what 5 % of windows without drift exceed
    p_value: float  # chi-square


class Shift(NamedTuple):
    """How location and spread moved. Each is None where it has no value."""

    mean: float | None  # reference standard deviations
    mean_p_value: float | None
    spread_ratio: float | None
    spread_p_value: float | None


@dataclass(frozen=True, slots=True)
class Moments:
    """What Welch's and Brown and Forsythe's tests need of a sample; sample deviations (n - 1)."""

    rows: int
    mean: float
    sd: float
    deviation_mean: float  # of |value - median|
    deviation_sd: float


def ks(ordered_reference: Floats, current: Floats) -> KolmogorovSmirnov:
    """The two-sided two-sample Kolmogorov-Smirnov test, equal to scipy's to the bit.

    Equal to `scipy.stats.ks_2samp(ordered_reference, current, method="auto")`: exact while both
    samples have at most 10,000 rows, else `kstwo.sf(D, round(n1·n2/(n1 + n2)))`. There the cost is
    one sort of `current` and a binary search per row of it: the reference is neither sorted nor
    walked again.

    Args:
        ordered_reference: n1 finite values, ascending.
        current: n2 finite values in any order.

    Raises:
        ValueError: a sample is empty.
    """
    n1, n2 = len(ordered_reference), len(current)
    if min(n1, n2) == 0:
        raise ValueError(f"KS needs rows on both sides; got {n1} and {n2}.")
    from scipy import stats  # noqa: PLC0415 - half of a worker's start, and seldom reached

    if max(n1, n2) <= EXACT_ROWS_MAX:
        with warnings.catch_warnings():
            # Where rounding carries its sum of paths beyond 1, scipy warns and answers
            # asymptotically; so do we.
            warnings.simplefilter("ignore", RuntimeWarning)
            exact = stats.ks_2samp(ordered_reference, current, method="auto")
        return KolmogorovSmirnov(float(exact.statistic), float(exact.pvalue))
    statistic = ks_distance(ordered_reference, np.sort(current))
    larger, smaller = float(max(n1, n2)), float(min(n1, n2))
    p_value = stats.kstwo.sf(statistic, np.round(larger * smaller / (larger + smaller)))
    return KolmogorovSmirnov(statistic, float(np.clip(p_value, 0, 1)))


def ks_distance(ordered_reference: Floats, ordered_current: Floats) -> float:
    """Largest distance between two empirical distribution functions, both samples ascending.

    Between two neighbouring current values only the reference's function rises, so the distance is
    largest at a current value or just before one; nothing else needs looking at. Ties are whole
    steps.
    """
    n1, n2 = len(ordered_reference), len(ordered_current)
    distance = 0.0
    for side in ("left", "right"):
        reference = np.searchsorted(ordered_reference, ordered_current, side=side) / n1
        current = np.searchsorted(ordered_current, ordered_current, side=side) / n2
        distance = max(distance, float(np.max(np.abs(reference - current))))
    return distance


def psi(reference_counts: Sequence[int], current_counts: Sequence[int]) -> Psi:
    """Population stability index between two windows counted in the same bins.

    Natural logarithm, 0 for equal counts, symmetric, no upper bound. Half an observation is added
    to every bin on both sides; bins empty on both sides do not exist. Under no drift PSI is about
    (1/n + 1/m)·χ²(B - 1) for n and m rows in B bins (Yurdakul and Naranjo, 2020), which gives
    expectation, 5 % critical value and p. With one bin there is nothing to differ: 0, and p = 1.

    Raises:
        ValueError: the windows have different bins, or one has no rows.
    """
    reference, current = np.asarray(reference_counts), np.asarray(current_counts)
    if reference.shape != current.shape:
        raise ValueError(
            f"the windows have {len(reference)} and {len(current)} bins; use the same bins."
        )
    m, n = int(reference.sum()), int(current.sum())
    if min(m, n) == 0:
        raise ValueError(f"PSI needs rows on both sides; got {m} and {n}.")
    used = (reference + current) > 0
    a, b = reference[used] + 0.5, current[used] + 0.5
    a, b = a / a.sum(), b / b.sum()
    value = max(0.0, float(((b - a) * np.log(b / a)).sum()))
    freedom = int(used.sum()) - 1
    scale = 1 / n + 1 / m
    if freedom == 0:
        return Psi(value, 0.0, 0.0, 1.0)
    return Psi(
        value=value,
        expected=freedom * scale,
        critical=float(special.chdtri(freedom, LEVEL)) * scale,
        p_value=float(special.chdtrc(freedom, value / scale)),
    )


def benjamini_hochberg(p_values: Sequence[float], level: float = LEVEL) -> tuple[bool, ...]:
    """Which of several tests have evidence when false discoveries are held to `level`.

    All p-values up to the largest k with p(k) <= level·k/N, in order (Benjamini and Hochberg,
    1995).
    """
    ordered = sorted(p_values)
    bound = -1.0
    for rank, p_value in enumerate(ordered, start=1):
        if p_value <= level * rank / len(ordered):
            bound = p_value
    return tuple(p_value <= bound for p_value in p_values)


def moments(values: Floats) -> Moments | None:
    """The moments of a sample of finite values; None for fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 -- a deviation needs two
        return None
    size = float(np.max(np.abs(values)))
    deviations = np.abs(values - np.median(values))
    return Moments(
        rows=len(values),
        mean=float(values.mean()),
        sd=_deviation(values, size),
        deviation_mean=float(deviations.mean()),
        deviation_sd=_deviation(deviations, size),
    )


def shift(reference: Moments | None, current: Moments | None) -> Shift:
    """How the current sample's mean and spread stand against the reference's.

    The mean's p-value is Welch's (unequal variances, Welch 1947), the spread's is Brown and
    Forsythe's (1974: an analysis of variance of the distances from each median), both two-sided.
    Nothing is said of a sample of fewer than two values, and nothing relative to a reference that
    does not vary.
    """
    if reference is None or current is None:
        return Shift(None, None, None, None)
    return Shift(
        mean=_ratio(current.mean - reference.mean, reference.sd),
        mean_p_value=_welch(reference, current),
        spread_ratio=_ratio(current.sd, reference.sd),
        spread_p_value=_brown_forsythe(reference, current),
    )


def _ratio(above: float, below: float) -> float | None:
    ratio = above / below if below else math.inf
    return ratio if math.isfinite(ratio) else None


def _welch(a: Moments, b: Moments) -> float | None:
    squares = a.sd**2 / a.rows, b.sd**2 / b.rows
    total = sum(squares)
    if total == 0:
        return None
    shares = squares[0] / total, squares[1] / total  # divided first: squares of tiny numbers vanish
    freedom = 1 / (shares[0] ** 2 / (a.rows - 1) + shares[1] ** 2 / (b.rows - 1))
    t = abs(a.mean - b.mean) / math.sqrt(total)
    return float(2 * special.stdtr(freedom, -t))


def _brown_forsythe(a: Moments, b: Moments) -> float | None:
    freedom = a.rows + b.rows - 2
    within = ((a.rows - 1) * a.deviation_sd**2 + (b.rows - 1) * b.deviation_sd**2) / freedom
    if within == 0:
        return None
    apart = (a.deviation_mean - b.deviation_mean) ** 2 * (a.rows * b.rows / (a.rows + b.rows))
    return float(special.fdtrc(1, freedom, apart / within))


def _deviation(values: Floats, size: float) -> float:
    """Sample standard deviation; exactly 0 where only rounding tells the values apart."""
    sd = float(values.std(ddof=1))
    return sd if sd > _ROUNDING * size else 0.0
