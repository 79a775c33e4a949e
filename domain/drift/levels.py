"""Whether the levels of a category moved, where most of them may be rare: a test in three parts.

Levels are pooled by the sum of both sides, which no drift treats alike; bins chosen by the
reference alone are too full in it, and a long tail of rare levels would look like drift for ever.
Figures and alternatives: docs/decisions/0015.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from scipy import special

from domain.drift.statistics import Floats

EXPECTED_MIN: Final = 5  # rows expected in a cell; below it the chi-square approximation is poor


class Level(NamedTuple):
    """Rows of one level; missing is a level."""

    reference: int
    window: int


class Pooled(NamedTuple):
    """The levels of both sides, rare ones pooled by how often they occur in the two together."""

    cells: tuple[Level, ...]  # own levels in order, and the rest when it expects 5 rows
    rare: tuple[Level, ...]  # the levels of the rest


def pool(levels: Sequence[Level], m: int, n: int) -> Pooled:
    """Own cells for levels that expect 5 rows on the smaller side; the others share the rest.

    Args:
        levels: in their order; ties are the first's.
        m: reference rows.
        n: window rows.

    A rest that expects fewer than 5 rows joins the rarest of the own levels.
    """
    share = min(m, n) / (m + n)
    own = [level for level in levels if sum(level) * share >= EXPECTED_MIN]
    rare = tuple(level for level in levels if sum(level) * share < EXPECTED_MIN)
    rest = Level(sum(level.reference for level in rare), sum(level.window for level in rare))
    if sum(rest) == 0:
        return Pooled(tuple(own), rare)
    if own and sum(rest) * share < EXPECTED_MIN:
        at = min(range(len(own)), key=lambda place: sum(own[place]))
        own[at] = Level(own[at].reference + rest.reference, own[at].window + rest.window)
        return Pooled(tuple(own), rare)
    return Pooled((*own, rest), rare)


def level_p_value(levels: Sequence[Level]) -> float:
    """How probable a difference at least like this is without drift; conservative.

    Three times the smallest of three p-values, and at most 1: Pearson's chi-square of the pooled
    levels; rows in rare levels that the reference lacks; the largest of all levels it lacks. Where
    no level is rare and none is new, the first alone.

    Raises:
        ValueError: a side has no rows.
    """
    m, n = (sum(level[side] for level in levels) for side in (0, 1))
    if min(m, n) == 0:
        raise ValueError(f"levels need rows on both sides; got {m} and {n}.")
    pooled = pool(levels, m, n)
    moved = _chi_square(pooled.cells, m, n)
    largest = max((level.window for level in levels if level.reference == 0), default=0)
    if largest == 0 and sum(map(sum, pooled.rare)) == 0:
        return moved
    new = _new_levels(pooled.rare, m, n)
    return min(1.0, 3 * min(moved, new, _largest_new_level(levels, largest, m, n)))


def in_window_alone(rows: Sequence[int], m: int, n: int) -> Floats:
    """The chance that so many given rows of the m + n all lie among the window's n."""
    c = np.asarray(rows, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        logarithm = (
            special.gammaln(n + 1)
            - special.gammaln(np.maximum(n - c, 0) + 1)
            - special.gammaln(m + n + 1)
            + special.gammaln(m + n - c + 1)
        )
    return np.where(c > n, 0.0, np.exp(logarithm))


def _chi_square(cells: Sequence[Level], m: int, n: int) -> float:
    if len(cells) <= 1:
        return 1.0
    found = np.array(cells, dtype=np.float64)
    expected = found.sum(axis=1, keepdims=True) * np.array([m, n]) / (m + n)
    statistic = ((found - expected) ** 2 / expected).sum()
    return float(special.chdtrc(len(cells) - 1, statistic))


def _new_levels(rare: Sequence[Level], m: int, n: int) -> float:
    """Rows in rare levels that the reference lacks: a gamma of the same mean and variance."""
    rows = sum(level.window for level in rare if level.reference == 0)
    if rows == 0:
        return 1.0
    sizes = Counter(sum(level) for level in rare if sum(level))
    t = np.array(sorted(sizes), dtype=np.float64)
    t = t[in_window_alone(t.tolist(), m, n) > 0]  # the others never lie in the window alone
    often = np.array([sizes[int(size)] for size in t], dtype=np.float64)
    alone = in_window_alone(t.tolist(), m, n)
    twice = in_window_alone((2 * t).tolist(), m, n)
    pairs = in_window_alone(np.add.outer(t, t).ravel().tolist(), m, n).reshape(len(t), len(t))
    weight = often * t
    mean = float((weight * alone).sum())
    variance = float(
        (often * t**2 * (alone - twice)).sum()
        + (np.outer(weight, weight) * (pairs - np.outer(alone, alone))).sum()
    )
    if mean <= 0 or variance <= 0 or not math.isfinite(mean / variance):
        return 0.0  # so rare that its chance is below the smallest double
    return float(special.gammaincc(mean**2 / variance, (rows - 0.5) * mean / variance))


def _largest_new_level(levels: Sequence[Level], largest: int, m: int, n: int) -> float:
    """The chance that any level of at least `largest` rows has them all in the window, or above."""
    if largest == 0:
        return 1.0
    sizes = Counter(sum(level) for level in levels if sum(level) >= largest)
    chances = in_window_alone(list(sizes), m, n)
    return min(
        1.0,
        float(sum(often * chance for often, chance in zip(sizes.values(), chances, strict=True))),
    )
