"""How often the interval over groups covers the truth, on holdouts that are drawn again and again.

    python -m benchmarks.simulations.group_intervals

Groups of five rows, or of sizes by Zipf's law, whose errors are alike within a group (intraclass
correlation .5 and .8). The two models are equally good, or one is 3.8 % worse. The short form is in
`tests/domain/decisions/test_group_interval.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.decisions.group_interval import rmse_difference_interval

Floats = NDArray[np.float64]

DRAWS: Final = 3_000
GROUPS: Final = (3, 4, 6, 10, 20, 40, 100)
ALIKE: Final = (0.5, 0.8)  # intraclass correlation of the errors
WORSE: Final = (1.0, 1.038)  # champion's RMSE over the candidate's
SHARED: Final = 0.8  # of both models' errors, as two models trained on nearly the same rows have
SEED: Final = 20_261_126


def main() -> None:
    """Print the coverage of the 95 % interval by number of groups, one line each."""
    print(f"coverage of the 95 % interval over groups, {DRAWS:,} draws a cell")
    print(
        "groups  " + "  ".join(f"icc {a:g}, x{w:g}" for a in ALIKE for w in WORSE) + "  Zipf sizes"
    )
    for count in GROUPS:
        five = [str(number) for number in range(count) for _ in range(5)]
        cells = [coverage(five, alike, worse) for alike in ALIKE for worse in WORSE]
        print(f"{count:6}  " + "  ".join(f"{cell:12.1%}" for cell in cells), end="")
        print(f"  {coverage(by_zipf(count), ALIKE[0], WORSE[0]):10.1%}")


def coverage(groups: Sequence[str], alike: float, worse: float, draws: int = DRAWS) -> float:
    """The share of intervals that hold the true difference.

    Args:
        groups: the group of each row.
        alike: intraclass correlation of the errors, 0..1.
        worse: the champion's true RMSE; the candidate's is 1.
        draws: holdouts.
    """
    generator = np.random.default_rng(SEED)
    covered = 0
    for _ in range(draws):
        shared, own = (_errors(generator, groups, alike) for _ in range(2))
        candidate = _errors(generator, groups, alike)
        mixed = [
            math.sqrt(SHARED) * shared + math.sqrt(1 - SHARED) * each for each in (own, candidate)
        ]
        found = rmse_difference_interval(worse * mixed[0], mixed[1], groups)
        covered += found is not None and found.low <= worse - 1 <= found.high
    return covered / draws


def by_zipf(count: int) -> list[str]:
    """`count` groups whose sizes fall as 1/rank, five rows a group on average, at least one."""
    ranks = np.arange(1, count + 1)
    sizes = np.maximum(1, np.round(5 * count / ranks / np.sum(1 / ranks))).astype(int)
    return [str(group) for group, size in enumerate(sizes) for _ in range(size)]


def _errors(generator: np.random.Generator, groups: Sequence[str], alike: float) -> Floats:
    """Errors of one model, standard normal, `alike` within a group."""
    numbers = np.unique(groups, return_inverse=True)[1]
    common = generator.normal(size=int(numbers.max()) + 1)[numbers]
    own = generator.normal(size=len(groups))
    return np.asarray(math.sqrt(alike) * common + math.sqrt(1 - alike) * own)


if __name__ == "__main__":
    main()
