"""Rows that come day by day while nothing changes, or until something does.

A model with three inputs predicts a target; a quarter of the target's variance is noise. What the
kinds differ in is whether the rows of a day, or rows that follow each other, are alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["independent", "day effects", "small day effects", "groups of 5", "AR(1)"]
Change = Literal["none", "error", "wider error", "error from the start", "input"]

DAYS: Final = 250
CHANGE_DAY: Final = 60
REFERENCE_ROWS: Final = 1_000
HOLDOUT_ROWS: Final = 400
INPUTS: Final = 3
NOISE: Final = 0.5  # standard deviation of the target's noise; the target's own is 1
MOVED: Final = 0.5  # of its own standard deviation, by which an error moves
WIDER: Final = 1.5  # times its RMSE, to which an error widens
GROUP_ROWS: Final = 5
_ALIKE: Final[
    dict[Kind, float]
] = {  # standard deviation of what the rows of a block have in common
    "day effects": 0.4,
    "small day effects": 0.2,
    "groups of 5": 0.5**0.5,
}
_FOLLOWS: Final = 0.8  # correlation of rows that follow each other
_WEIGHT: Final = float(np.sqrt((1 - NOISE**2) / INPUTS))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows: inputs (rows, 3), what the model predicts, and its residuals."""

    inputs: Floats
    predicted: Floats
    residuals: Floats

    @property
    def target(self) -> Floats:
        """What the model tried to predict."""
        return self.predicted + self.residuals


def rows_of(standard: Floats) -> Rows:
    """Rows from standard normal columns: the inputs, and the noise last."""
    inputs = standard[:, :INPUTS]
    return Rows(inputs, _WEIGHT * inputs.sum(axis=1), NOISE * standard[:, INPUTS])


def alike(generator: np.random.Generator, kind: Kind, rows: int, a_block: int) -> Floats:
    """Standard normal columns whose rows share what is common to a block of `a_block` of them."""
    noise = generator.normal(size=(rows, INPUTS + 1))
    if kind not in _ALIKE:
        return noise
    common = generator.normal(size=(-(-rows // a_block), INPUTS + 1))
    shared = _ALIKE[kind]
    together: Floats = np.repeat(common, a_block, axis=0)[:rows]
    return shared * together + math.sqrt(1 - shared**2) * noise


def rows_a_block(kind: Kind, rows: int) -> int:
    """How many rows are alike, of `rows` a day."""
    return GROUP_ROWS if kind == "groups of 5" else rows


def days(
    generator: np.random.Generator, kind: Kind, rows: int, *, change: Change = "none"
) -> Iterator[Rows]:
    """250 days of `rows` rows each. From day 60 on there is a change: half a residual sd more
    error, an error half as wide again, or an input one sd higher."""
    last = generator.normal(size=INPUTS + 1)
    for day in range(DAYS):
        noise = alike(generator, kind, rows, rows_a_block(kind, rows))
        if kind == "AR(1)":
            for row in range(rows):
                last = _FOLLOWS * last + np.sqrt(1 - _FOLLOWS**2) * noise[row]
                noise[row] = last
        if change == "error from the start" or (change == "error" and day >= CHANGE_DAY):
            noise[:, INPUTS] += MOVED
        elif change == "wider error" and day >= CHANGE_DAY:
            noise[:, INPUTS] *= WIDER
        elif change == "input" and day >= CHANGE_DAY:
            noise[:, 0] += 1.0
        yield rows_of(noise)
