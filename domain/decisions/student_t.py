"""Student's t distribution with whole degrees of freedom, in closed form.

The service answers requests without scipy, and a rollback measures what the champion was worth.
The sums are those of Abramowitz and Stegun, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

_ENOUGH: Final = 1e-17  # of a sum near 1: what follows changes no digit


def student_t(freedom: int, t: float) -> float:
    """The probability of a value below `t` with `freedom` degrees of freedom, at least 1.

    >>> f"{student_t(2, 4.302652729):.6f}"
    '0.975000'
    """
    if math.isinf(t):
        return 1.0 if t > 0 else 0.0
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
        if term < _ENOUGH:
            break
    middle = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + middle) / 2


@cache
def student_t_quantile(freedom: int, probability: float) -> float:
    """The t below which `probability` (0.5..1, exclusive) of the distribution lies.

    >>> f"{student_t_quantile(2, 0.975):.9f}"
    '4.302652730'
    """
    low, high = 0.0, 1.0
    while student_t(freedom, high) < probability:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if student_t(freedom, middle) < probability else (low, middle)
    return high
