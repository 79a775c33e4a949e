"""Whether a window could have shown a drift of a feature: "no drift" is said by no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scipy import special

from domain.drift.levels import EXPECTED_MIN
from domain.drift.statistics import LEVEL
from domain.events.findings import SIGNIFICANT

ROWS_MIN: Final = 100  # rows of a window below which no drift cannot be said
POWER_MIN: Final = 0.8  # probability of evidence when PSI truly is 0.2


def power(bins: int, n: int, m: int) -> float:
    """The probability that chi-square finds a PSI of 0.2 at 5 %, in `bins` bins (2 or more).

    >>> round(power(10, 100, 1_000), 3), round(power(2, 100, 100), 3)
    (0.867, 0.885)
    """
    critical = special.chdtri(bins - 1, LEVEL)
    return float(1 - special.chndtr(critical, bins - 1, SIGNIFICANT / (1 / n + 1 / m)))


def low_power(bins: int, seen: int, n: int, m: int) -> bool:
    """Whether the window is too small to say that a feature did not drift.

    Args:
        bins: bins left when those that expect fewer than 5 rows are pooled.
        seen: bins of values that the reference has rows in.
        n: window rows.
        m: reference rows.
    """
    if n < ROWS_MIN:
        return True
    if bins <= 1:
        return seen > 1  # several, and none full enough to be told from another
    return power(bins, n, m) < POWER_MIN


def pooled_bins(reference_counts: Sequence[int], n: int, m: int) -> int:
    """How many bins of a number are left, pooled from the left until each expects 5 rows.

    For judging power only; evidence pools no bins of a number.
    """
    bins, held = 0, 0
    for rows in reference_counts:
        held += rows
        if held * n >= EXPECTED_MIN * m:
            bins, held = bins + 1, 0
    return max(bins, int(held > 0))  # what is left joins the last
