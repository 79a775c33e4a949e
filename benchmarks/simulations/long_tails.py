"""Categories with long tails that do not drift, and the same with one level nobody saw before.

    python -m benchmarks.simulations.long_tails [WINDOWS]

Levels follow Zipf's law. Every window has a reference of its own, frozen and measured as the drift
step does. No drift should be evidence in at most 5 % of windows, and a new level of 5 % in nearly
all of 1,000 rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import report
from domain.drift.bins import Value, freeze_categories
from domain.drift.levels import level_p_value
from domain.drift.statistics import LEVEL, psi
from domain.events.findings import SIGNIFICANT

LAWS: Final = ((1.0, 100), (1.0, 300), (1.0, 5_000), (1.1, 5_000))  # exponent, levels
REFERENCE_ROWS: Final = (200, 1_000, 10_000)
WINDOW_ROWS: Final = (100, 1_000, 5_000)
NEW_SHARE: Final = 0.05
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


def run(
    windows: int,
    laws: Iterable[tuple[float, int]] = LAWS,
    reference_rows: Iterable[int] = REFERENCE_ROWS,
    window_rows: Iterable[int] = WINDOW_ROWS,
) -> list[Cell]:
    """One cell for each law, reference and window, of so many windows each; the same every time."""
    return [_cell(windows, *case) for case in product(laws, reference_rows, window_rows)]


def main() -> None:
    """Print the table of all 36 cells."""
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    report(
        f"Zipf's law without drift, and with a new level of 5 % ({windows:,} windows a cell)",
        [cell._asdict() for cell in run(windows)],
    )


def _cell(windows: int, law: tuple[float, int], m: int, n: int) -> Cell:
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


if __name__ == "__main__":
    main()
