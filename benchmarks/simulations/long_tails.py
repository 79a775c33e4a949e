"""Categories with long tails that do not drift, and the same with one level nobody saw before.

Levels follow Zipf's law. Every window has a reference of its own, frozen and measured as the drift
step does. No drift should be evidence in at most 5 % of windows, and a new level of 5 % in all of
1,000 rows.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulations.bounds import Bound, share_bound
from benchmarks.simulations.program import Line, Program, Task, percent
from domain.drift.bins import freeze_categories
from domain.drift.levels import level_p_value
from domain.drift.statistics import LEVEL, psi
from domain.events.findings import SIGNIFICANT
from domain.packed import Value

LAWS: Final = ((1.0, 100), (1.0, 300), (1.0, 5_000), (1.1, 5_000))  # exponent, levels
REFERENCE_ROWS: Final = (200, 1_000, 10_000)
WINDOW_ROWS: Final = (100, 1_000, 5_000)
NEW_SHARE: Final = 0.05
FOUND: Final = {200: 0.47, 1_000: 0.79, 10_000: 0.88}  # of new levels in 100 rows, at least
_STRICT: Final = 0.0025  # what the smallest of twenty features must stay below


class Cell(NamedTuple):
    """What came of the windows of one law, reference and window size; shares are 0..1."""

    exponent: float
    levels: int
    reference_rows: int
    window_rows: int
    false_evidence: float
    below_strict: float  # p < 0.0025
    mean_psi: float
    false_drift: float  # PSI above 0.2 with evidence
    new_level_found: float


def cell(windows: int, law: tuple[float, int], m: int, n: int) -> Cell:
    """So many windows of one cell; the same every time."""
    exponent, levels = law
    draw = np.random.default_rng([round(exponent * 10), levels, m, n])
    shares = np.arange(1, levels + 1, dtype=np.float64) ** -exponent
    shares /= shares.sum()
    moved = np.append(shares * (1 - NEW_SHARE), NEW_SHARE)
    p_values, indices, found = np.empty(windows), np.empty(windows), 0
    for at in range(windows):
        reference = _column(draw.multinomial(m, shares))
        p_values[at], indices[at] = _measured(reference, _column(draw.multinomial(n, shares)), n)
        found += _measured(reference, _column(draw.multinomial(n, moved)), n)[0] < LEVEL
    return Cell(
        exponent,
        levels,
        m,
        n,
        false_evidence=_share(p_values < LEVEL),
        below_strict=_share(p_values < _STRICT),
        mean_psi=float(indices.mean()),
        false_drift=_share((p_values < LEVEL) & (indices > SIGNIFICANT)),
        new_level_found=found / windows,
    )


def bounds(found: Cell, windows: int) -> tuple[Bound, ...]:
    """What the figures of a cell must come to."""
    least = 0.999 if found.window_rows >= 1_000 else FOUND[found.reference_rows]
    return (
        share_bound("false evidence", found.false_evidence, windows, "at most", LEVEL),
        share_bound("p < 0.0025", found.below_strict, windows, "at most", 0.0045),
        share_bound("false drift", found.false_drift, windows, "at most", 0.011),
        share_bound("new level found", found.new_level_found, windows, "at least", least),
    )


def lines(windows: int, law: tuple[float, int], m: int, n: int) -> list[Line]:
    """The line of one cell."""
    found = cell(windows, law, m, n)
    figures = (
        *(f"{found.exponent:g}", f"{found.levels:,}", f"{m:,}", f"{n:,}"),
        *(percent(found.false_evidence), percent(found.below_strict), f"{found.mean_psi:.3f}"),
        *(percent(found.false_drift), percent(found.new_level_found)),
    )
    return [Line(figures, bounds(found, windows))]


def tasks(windows: int) -> list[Task]:
    """One for each law, reference and window."""
    return [
        Task(
            f"Zipf {law[0]:g} over {law[1]:,} levels, {m:,} and {n:,} rows",
            windows * (m + 2 * n),
            partial(lines, windows, law, m, n),
        )
        for law, m, n in product(LAWS, REFERENCE_ROWS, WINDOW_ROWS)
    ]


def _measured(reference: list[Value], window: list[Value], n: int) -> tuple[float, float]:
    """The p-value and the PSI of a window, as the drift step has them."""
    frozen = freeze_categories("level", reference, n)
    counted = frozen.count(window)
    index = psi(frozen.counts, counted.counts)
    return level_p_value(frozen.levels_of(counted, missing=True)), index.value


def _column(rows: NDArray[np.int64]) -> list[Value]:
    return [*np.repeat(np.arange(len(rows)), rows).tolist()]


def _share(held: NDArray[np.bool_]) -> float:
    return float(np.mean(held))


PROGRAM: Final = Program(
    title="Categories with long tails (Zipf's law) without drift, and with a new level of 5 %",
    head=(
        *("exponent", "levels", "reference rows", "window rows", "false evidence"),
        *("p < 0.0025", "mean PSI", "drift > 0.2", "new level found"),
    ),
    runs=2_000,
    short_runs=50,
    tasks=tasks,
)
