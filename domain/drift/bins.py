"""How one feature is cut into bins, and how a column is counted in them.

Counts in the same bins add exactly, in any order and on any machine; PSI needs nothing else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from domain.drift.statistics import Floats, Moments, moments
from domain.errors import NotMeasurable

Value = float | int | str | None
Kind = Literal["number", "category"]

EXPECTED_MIN: Final = 5  # rows expected in a bin; below it the chi-square approximation is poor
MISSING, NEW, OTHER = "(missing)", "(new)", "(other)"
_SIZE_MAX: Final = 1e150  # beyond it, squares leave the range of a double
_DECILES: Final = np.linspace(0, 1, 11)[1:-1]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Finite values in ascending order, not to be changed, and their moments."""

    ordered: Floats
    moments: Moments | None = field(init=False)

    def __post_init__(self) -> None:  # noqa: D105
        self.ordered.setflags(write=False)
        object.__setattr__(self, "moments", moments(self.ordered))


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """One column of a window, counted in the bins of a reference."""

    counts: tuple[int, ...]  # rows per bin, in the order of the reference's bins
    missing: int
    unknown: int
    numbers: Numbers | None  # its values, ascending; None for categories


@dataclass(frozen=True, slots=True, eq=False)
class NumberReference:
    """A numeric feature: bins (edge, next edge], both ends open, and one for missing values."""

    name: str
    edges: Floats  # inner edges, ascending; none when the reference has no values
    numbers: Numbers
    counts: tuple[int, ...]  # rows per bin; the last is missing
    kind: Literal["number"] = "number"

    @property
    def bins(self) -> tuple[str, ...]:
        """The bins' labels, in order."""
        return _number_labels(self.edges)

    @property
    def value_bins(self) -> int:
        """How many of the first bins hold values: all but missing."""
        return len(self.edges) + 1

    def count(self, column: Iterable[Value]) -> Counted:
        """The column in these bins. Raises NotMeasurable for a value that is no finite number."""
        numbers, missing = _numbers(self.name, column)
        return Counted(count_numbers(self.edges, numbers, missing), missing, 0, numbers)


@dataclass(frozen=True, slots=True, eq=False)
class CategoryReference:
    """A category feature: a bin a level, and one each for pooled rare, new and missing ones."""

    name: str
    levels: tuple[str | int | float, ...]
    pooled: tuple[str | int | float, ...]  # too rare for a bin of their own; may be empty
    counts: tuple[int, ...]  # rows per bin; the last two are new (always 0) and missing
    kind: Literal["category"] = "category"

    @property
    def bins(self) -> tuple[str, ...]:
        """The bins' labels, in order."""
        return (*map(str, self.levels), *((OTHER,) if self.pooled else ()), NEW, MISSING)

    @property
    def value_bins(self) -> int:
        """How many of the first bins hold levels the reference knows."""
        return len(self.levels) + bool(self.pooled)

    def count(self, column: Iterable[Value]) -> Counted:
        """The column in these bins; levels that the reference lacks are new."""
        found = Counter(column)
        missing = found.pop(None, 0)
        rows = found.total()
        known = [found[level] for level in self.levels]
        pooled = sum(found[level] for level in self.pooled)
        new = rows - sum(known) - pooled
        other = (pooled,) if self.pooled else ()
        return Counted((*known, *other, new, missing), missing, new, None)


FeatureReference = NumberReference | CategoryReference


def freeze_numbers(name: str, column: Sequence[Value]) -> NumberReference:
    """A numeric feature with its bins, from the training rows."""
    numbers, missing = _numbers(name, column)
    edges = _edges(numbers.ordered)
    return NumberReference(name, edges, numbers, count_numbers(edges, numbers, missing))


def _edges(ordered: Floats) -> Floats:
    """Inner edges: deciles, repeated ones once, and both sides of every point mass.

    A point mass is a value held by more than a tenth of the rows, more than a decile's bin can
    hold. Beside one, a decile that would cut off less than half a bin is dropped: it is the mass's
    shadow.
    """
    if len(ordered) == 0:
        return np.empty(0)
    deciles = np.unique(np.quantile(ordered, _DECILES))
    values, counts = np.unique(ordered, return_counts=True)
    masses = values[(counts * 10 > len(ordered)) & (counts > 1)]
    if len(masses) == 0:
        return deciles
    edges = np.unique(np.concatenate([masses, np.nextafter(masses, -np.inf)]))
    for decile in deciles:
        at = int(np.searchsorted(edges, decile, side="left"))
        cut = np.insert(edges, at, decile)
        sides = np.bincount(np.searchsorted(cut, ordered, side="left"), minlength=len(cut) + 1)
        if min(sides[at], sides[at + 1]) * 20 >= len(ordered):
            edges = cut
    return edges


def freeze_categories(name: str, column: Sequence[Value], window: int) -> CategoryReference:
    """A category feature; levels expected fewer than 5 times in `window` rows are pooled."""
    found = Counter(value for value in column if value is not None)
    order = sorted(found, key=lambda level: (isinstance(level, str), level))
    rare = {level for level in order if found[level] * window < EXPECTED_MIN * len(column)}
    levels = tuple(level for level in order if level not in rare)
    pooled = tuple(level for level in order if level in rare)
    empty = CategoryReference(name, levels, pooled, ())
    return CategoryReference(name, levels, pooled, empty.count(column).counts)


def numbers_of(subject: str, values: Iterable[Value] | Floats) -> Numbers:
    """Finite values, ordered. Raises NotMeasurable for NaN, infinity and sizes above 1e150."""
    if not isinstance(values, np.ndarray):
        values = np.array(list(values), dtype=np.float64)
    ordered = np.sort(np.asarray(values, dtype=np.float64))  # a copy: freezing touches no caller
    ordered += 0.0  # the ledger writes -0.0 as 0, and what is read back is what was frozen
    bad = ordered[~(np.abs(ordered) <= _SIZE_MAX)]  # NaN compares false, so it is bad too
    if len(bad):
        raise NotMeasurable(
            f"{subject}: {bad[0]} is not a finite number of at most 1e150 in size. "
            "Send null where a value is missing."
        )
    return Numbers(ordered)


def _numbers(name: str, column: Iterable[Value]) -> tuple[Numbers, int]:
    """The column's values and how many are missing."""
    held = list(column)
    values = [value for value in held if value is not None]
    if any(isinstance(value, str) for value in values):
        raise NotMeasurable(
            f"feature {name!r} is a number, but a row has text. Check the contract."
        )
    return numbers_of(f"feature {name!r}", values), len(held) - len(values)


def count_numbers(edges: Floats, numbers: Numbers, missing: int) -> tuple[int, ...]:
    """Rows per bin (edge, next edge], and last the missing ones."""
    placed = np.searchsorted(edges, numbers.ordered, side="left")
    return (*np.bincount(placed, minlength=len(edges) + 1).tolist(), missing)


def _number_labels(edges: Floats) -> tuple[str, ...]:
    """A label a bin. The edge just under a point mass stands for the mass itself, exclusive."""
    if len(edges) == 0:
        return ("any", MISSING)
    inner = edges.tolist()
    under = {edge for edge, after in pairwise(inner) if math.nextafter(after, -math.inf) == edge}
    labels = []
    for low, high in pairwise((-math.inf, *inner, math.inf)):
        end, shut = (math.nextafter(high, math.inf) + 0.0, ")") if high in under else (high, "]")
        if low in under:
            labels.append(f"= {high:.6g}")
        elif low == -math.inf:
            labels.append(f"{'<' if high in under else '≤'} {end:.6g}")
        elif high == math.inf:
            labels.append(f"> {low:.6g}")
        else:
            labels.append(f"({low:.6g}, {end:.6g}{shut}")
    return (*labels, MISSING)
