"""Kolmogorov-Smirnov with a frozen, sorted reference against `scipy.stats.ks_2samp`, in one run.

    python -m benchmarks.ks_against_scipy

Both get the same samples and must agree to the bit. While both have at most 10,000 rows the time is
scipy's exact p-value on either side; sorting the window is the floor.
"""

from __future__ import annotations

import numpy as np
import scipy
from scipy import stats

from benchmarks.report import per_second, report
from domain.drift.statistics import Floats, ks

CASES = (  # reference rows, window rows
    (1_000, 100),
    (10_000, 1_000),
    (10_000, 10_000),
    (20_000, 1_000),
    (100_000, 1_000),
    (100_000, 10_000),
    (1_000_000, 1_000),
    (1_000_000, 10_000),
)
SECONDS = 0.5  # a measurement, three of them a case


def main() -> None:
    """Print milliseconds of both, of sorting the window alone, and the ratio to scipy."""
    report(
        f"Kolmogorov-Smirnov: a window against a frozen reference (scipy {scipy.__version__})",
        [_measured(*case) for case in CASES],
    )


def _measured(reference_rows: int, window_rows: int) -> dict[str, int | float]:
    draw = np.random.default_rng(reference_rows + window_rows)
    reference: Floats = draw.normal(size=reference_rows)
    window: Floats = draw.normal(0.01, size=window_rows)
    frozen = np.sort(reference)
    theirs = stats.ks_2samp(reference, window)
    if ks(frozen, window) != (theirs.statistic, theirs.pvalue):
        raise AssertionError(f"not scipy's: {ks(frozen, window)} is not {theirs}")
    scipys = per_second(lambda: stats.ks_2samp(reference, window), seconds=SECONDS)
    ours = per_second(lambda: ks(frozen, window), seconds=SECONDS)
    return {
        "reference rows": reference_rows,
        "window rows": window_rows,
        "scipy ms": 1_000 / scipys,
        "ours ms": 1_000 / ours,
        "sort alone ms": 1_000 / per_second(lambda: np.sort(window), seconds=SECONDS),
        "speed / scipy's": ours / scipys,
    }


if __name__ == "__main__":
    main()
