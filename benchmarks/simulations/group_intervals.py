"""How often the interval over groups covers the truth, on holdouts that are drawn again and again.

Groups of five rows, or of sizes by Zipf's law, whose errors are alike within a group (intraclass
correlation .5 and .8). The two models are equally good, or one is 3.8 % worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulations.bounds import Bound, share_bound
from benchmarks.simulations.program import Line, Program, Task, percent
from domain.decisions.group_interval import rmse_difference_interval

Floats = NDArray[np.float64]

GROUPS: Final = (3, 4, 6, 10, 20, 40, 100)
ALIKE: Final = (0.5, 0.8)  # intraclass correlation of the errors
WORSE: Final = (1.0, 1.038)  # champion's RMSE over the candidate's
SHARED: Final = 0.8  # of both models' errors, as two models trained on nearly the same rows have
LEAST: Final = 0.93  # of coverage, groups of five
LEAST_BY_ZIPF: Final = 0.9  # of unequal ones
MOST: Final = 0.96
SEED: Final = 20_261_126


def bounds(what: str, covered: Sequence[float], draws: int, least: float) -> tuple[Bound, Bound]:
    """What coverages must come to: near 95 %, and not by being too wide."""
    return (
        share_bound(what, min(covered), draws, "at least", least),
        share_bound(what, max(covered), draws, "at most", MOST),
    )


def lines(draws: int, count: int) -> list[Line]:
    """The line of one number of groups."""
    five = [str(number) for number in range(count) for _ in range(5)]
    alike = [coverage(five, icc, worse, draws) for icc in ALIKE for worse in WORSE]
    zipf = coverage(by_zipf(count), ALIKE[0], WORSE[0], draws)
    bound = (
        *bounds("coverage", alike, draws, LEAST),
        *bounds("by Zipf", [zipf], draws, LEAST_BY_ZIPF),
    )
    return [Line((str(count), *map(percent, alike), percent(zipf)), bound)]


def tasks(draws: int) -> list[Task]:
    """One for each number of groups."""
    return [
        Task(f"{count} groups", draws * (40 + count), partial(lines, draws, count))
        for count in GROUPS
    ]


def coverage(groups: Sequence[str], alike: float, worse: float, draws: int) -> float:
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


PROGRAM: Final = Program(
    title="How often the 95 % interval over groups covers the truth",
    head=(
        "groups",
        *(
            f"alike {icc:g}, " + ("equally good" if worse == 1 else "3.8 % worse")
            for icc in ALIKE
            for worse in WORSE
        ),
        "sizes by Zipf",
    ),
    runs=3_000,
    short_runs=100,
    tasks=tasks,
)
