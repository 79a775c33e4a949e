"""How one feature is cut into bins, and how a column is counted in them.

Counts in the same bins add exactly, in any order and on any machine; PSI needs nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from domain.drift.edges import MISSING, edges_of, first_edges_of, labels_of
from domain.drift.levels import EXPECTED_MIN, Level
from domain.drift.statistics import Floats, Moments, moments
from domain.errors import NotMeasurable
from domain.packed import Packed, Value, pack

Kind = Literal["number", "category"]

NEW, OTHER = "(new)", "(other)"
_SIZE_MAX: Final = 1e150  # beyond it, squares leave the range of a double


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
    levels: Mapping[Value, int] | None = None  # rows of each category, missing too; or None


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
        return labels_of(self.edges)

    @property
    def value_bins(self) -> int:
        """How many of the first bins hold values: all but missing."""
        return len(self.edges) + 1

    def count(self, column: Iterable[Value]) -> Counted:
        """The column in these bins. Raises NotMeasurable for a value that is no finite number."""
        numbers, missing = _numbers(self.name, pack(column))
        return Counted(count_numbers(self.edges, numbers, missing), missing, 0, numbers)


@dataclass(frozen=True, slots=True, eq=False)
class CategoryReference:
    """A category feature: a bin a level, and one each for pooled rare, new and missing ones.

    In the bin for new ones stand the rows of levels that the reference saw once: about as many rows
    of a window are of levels that nobody saw before (Good and Turing).
    """

    name: str
    levels: tuple[str | int | float, ...]
    pooled: tuple[str | int | float, ...]  # too rare for a bin of their own; may be empty
    counts: tuple[int, ...]  # rows per bin; the last two are new and missing
    pooled_counts: tuple[int, ...] | None  # rows of each; None in format 1, where new is always 0
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
        found = pack(column).counts()
        missing = found[None]
        rows = found.total() - missing
        known = [found[level] for level in self.levels]
        pooled = sum(found[level] for level in self.pooled)
        new = rows - sum(known) - pooled
        other = (pooled,) if self.pooled else ()
        return Counted((*known, *other, new, missing), missing, new, None, found)

    def levels_of(self, counted: Counted, *, missing: bool) -> tuple[Level, ...]:
        """Each level's rows on both sides, in level order; with `missing` that one last.

        In format 1 the pooled ones are one level, and new ones another.
        """
        found = counted.levels or {}
        absent = (Level(self.counts[-1], counted.missing),) if missing else ()
        if self.pooled_counts is None:
            pairs = zip(self.counts[:-1], counted.counts[:-1], strict=True)
            return (*(Level(*pair) for pair in pairs), *absent)
        frozen: dict[Value, int] = dict(zip(self.levels, self.counts, strict=False))
        frozen |= dict(zip(self.pooled, self.pooled_counts, strict=True))
        every = {level for level in (*frozen, *found) if level is not None}
        rows = (Level(frozen.get(at, 0), found.get(at, 0)) for at in sorted(every, key=_in_order))
        return (*rows, *absent)


FeatureReference = NumberReference | CategoryReference


def freeze_numbers(name: str, column: Sequence[Value], *, first: bool = False) -> NumberReference:
    """A numeric feature with its bins, from the training rows; `first` cuts them as format 1."""
    numbers, missing = _numbers(name, pack(column))
    edges = first_edges_of(numbers.ordered) if first else edges_of(numbers.ordered)
    return NumberReference(name, edges, numbers, count_numbers(edges, numbers, missing))


def freeze_categories(
    name: str, column: Sequence[Value], window: int, *, first: bool = False
) -> CategoryReference:
    """A category feature; levels expected fewer than 5 times in `window` rows are pooled.

    Seen fewer than 5 times, they are too. `first` freezes as format 1, which looked at the window
    alone.
    """
    found = Counter(value for value in column if value is not None)
    order = sorted(found, key=_in_order)
    rare = {
        level
        for level in order
        if found[level] * window < EXPECTED_MIN * len(column)
        or (found[level] < EXPECTED_MIN and not first)
    }
    levels = tuple(level for level in order if level not in rare)
    pooled = tuple(level for level in order if level in rare)
    rows = None if first else tuple(found[level] for level in pooled)
    once = 0 if rows is None else rows.count(1)
    counted = CategoryReference(name, levels, pooled, (), rows).count(column).counts
    known, (new, missing) = counted[:-2], counted[-2:]
    if pooled:
        known = (*known[:-1], known[-1] - once)
    return CategoryReference(name, levels, pooled, (*known, new + once, missing), rows)


def _in_order(level: str | int | float) -> tuple[bool, str | int | float]:
    """Numbers before text."""
    return isinstance(level, str), level


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


def numbers_in(name: str, column: Packed) -> Floats:
    """The number of each row, NaN where it is missing. Raises NotMeasurable for text."""
    if column.numbers is None:
        raise NotMeasurable(
            f"feature {name!r} is a number, but a row has text. Check the contract."
        )
    return column.numbers


def _numbers(name: str, column: Packed) -> tuple[Numbers, int]:
    """The column's values and how many are missing."""
    present = numbers_in(name, column)[~column.absent]
    return numbers_of(f"feature {name!r}", present), column.missing


def count_numbers(edges: Floats, numbers: Numbers, missing: int) -> tuple[int, ...]:
    """Rows per bin (edge, next edge], and last the missing ones."""
    placed = np.searchsorted(edges, numbers.ordered, side="left")
    return (*np.bincount(placed, minlength=len(edges) + 1).tolist(), missing)
