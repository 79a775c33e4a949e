"""Where a numeric feature is cut into bins, and what the bins are called.

An edge lies between two neighbouring numbers of float32, so a value and what float32 makes of it
are in the same bin: a column trained on doubles may be served as float32.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from domain.drift.statistics import Floats

MISSING: Final = "(missing)"
_DECILES: Final = np.linspace(0, 1, 11)[1:-1]
_SINGLE_MAX: Final = float(np.finfo(np.float32).max)
_SINGLE_MIN: Final = float(np.finfo(np.float32).tiny)  # below it float32 has fewer digits, then 0


def edges_of(ordered: Floats) -> Floats:
    """Inner edges: deciles, repeated ones once, and both sides of every point mass.

    A point mass is a value, as float32 reads it, held by more than a tenth of the rows, more than a
    decile's bin can hold. Beside one, a decile that would cut off less than half a bin is dropped:
    it is the mass's shadow. None when there are no values. Where all are too small for float32, the
    edges are those of doubles.
    """
    if len(ordered) == 0 or 0 < np.abs(ordered).max() < _SINGLE_MIN:
        return first_edges_of(ordered)
    deciles = np.unique(_above(np.quantile(ordered, _DECILES)))
    values, counts = np.unique(_as_single(ordered), return_counts=True)
    masses = values[(counts * 10 > len(ordered)) & (counts > 1)]
    return _around(np.concatenate([_above(masses), _below(masses)]), deciles, ordered)


def first_edges_of(ordered: Floats) -> Floats:
    """The same to the last bit of a double, as references of format 1 were cut."""
    if len(ordered) == 0:
        return np.empty(0)
    deciles = np.unique(np.quantile(ordered, _DECILES))
    values, counts = np.unique(ordered, return_counts=True)
    masses = values[(counts * 10 > len(ordered)) & (counts > 1)]
    return _around(np.concatenate([masses, np.nextafter(masses, -np.inf)]), deciles, ordered)


def labels_of(edges: Floats) -> tuple[str, ...]:
    """A label a bin, missing last. The edge just under a point mass stands for it, exclusive."""
    if len(edges) == 0:
        return ("any", MISSING)
    inner = edges.tolist()
    masses = {low: _mass_between(low, high) for low, high in pairwise(inner)}
    shown = dict(zip(inner, _shown(edges).tolist(), strict=True))
    labels = []
    for low, high in pairwise((-math.inf, *inner, math.inf)):
        under = masses.get(high)
        end, shut = (shown.get(high), "]") if under is None else (under + 0.0, ")")
        if (mass := masses.get(low)) is not None:
            labels.append(f"= {mass + 0.0:.6g}")
        elif low == -math.inf:
            labels.append(f"{'≤' if under is None else '<'} {end:.6g}")
        elif high == math.inf:
            labels.append(f"> {shown[low]:.6g}")
        else:
            labels.append(f"({shown[low]:.6g}, {end:.6g}{shut}")
    return (*labels, MISSING)


def _around(sides: Floats, deciles: Floats, ordered: Floats) -> Floats:
    """The sides of the point masses, and every decile that is none's shadow."""
    if len(sides) == 0:
        return deciles
    edges = np.unique(sides)
    for decile in deciles:
        at = int(np.searchsorted(edges, decile, side="left"))
        cut = np.insert(edges, at, decile)
        rows = np.bincount(np.searchsorted(cut, ordered, side="left"), minlength=len(cut) + 1)
        if min(rows[at], rows[at + 1]) * 20 >= len(ordered):
            edges = cut
    return edges


def _as_single(values: Floats) -> Floats:
    """Each value as float32 reads it; one beyond float32, itself."""
    held = np.abs(values) <= _SINGLE_MAX
    return np.where(held, np.where(held, values, 0).astype(np.float32).astype(np.float64), values)


def _above(values: Floats) -> Floats:
    """The largest double that float32 reads as it reads each value."""
    read = _as_single(values)
    with np.errstate(over="ignore"):  # those keep their own value, below
        single = read.astype(np.float32)
        middle = (read + np.nextafter(single, np.float32(np.inf)).astype(np.float64)) / 2
        edge = np.where(middle.astype(np.float32) == single, middle, np.nextafter(middle, -np.inf))
    return np.where(np.isfinite(edge), edge, values)


def _below(masses: Floats) -> Floats:
    """The largest double that float32 reads as less than each of these values, which it holds."""
    with np.errstate(over="ignore"):
        before = np.nextafter(masses.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    held = np.abs(masses) <= _SINGLE_MAX
    held &= np.isfinite(before)
    return np.where(held, _above(np.where(held, before, 0)), np.nextafter(masses, -np.inf))


def _mass_between(low: float, high: float) -> float | None:
    """The only value of float32, or of a double, between two neighbouring edges."""
    mass = _as_single(np.array([high]))
    if _above(mass)[0] == high and _below(mass)[0] == low:
        return float(mass[0])
    return high if math.nextafter(high, -math.inf) == low else None


def _shown(edges: Floats) -> Floats:
    """What a bin ends with as people read it: not the half step that float32 asks for."""
    read = _as_single(edges)
    return np.where(_above(read) == edges, read, edges) + 0.0
