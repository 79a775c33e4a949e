"""Rows that come day by day while nothing changes, or until something does.

A model with three inputs predicts a target; a quarter of the target's variance is noise. What the
three kinds differ in is whether the rows of a day, or rows that follow each other, are alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Kind = Literal["independent", "day effects", "AR(1)"]
Change = Literal["none", "error", "input"]

KINDS: Final[tuple[Kind, ...]] = ("independent", "day effects", "AR(1)")
ROWS_A_DAY: Final = (3, 20, 100)
DAYS: Final = 250
CHANGE_DAY: Final = 60
REFERENCE_ROWS: Final = 1_000
HOLDOUT_ROWS: Final = 400
INPUTS: Final = 3
NOISE: Final = 0.5  # standard deviation of the target's noise; the target's own is 1
_DAY_EFFECT: Final = 0.4  # standard deviations, common to the rows of a day
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


def days(
    generator: np.random.Generator, kind: Kind, rows: int, *, change: Change = "none"
) -> Iterator[Rows]:
    """250 days of `rows` rows each; from day 60 on, half a residual sd more error, or an input one
    sd higher, when there is a change."""
    last = generator.normal(size=INPUTS + 1)
    for day in range(DAYS):
        noise = generator.normal(size=(rows, INPUTS + 1))
        if kind == "day effects":
            common = generator.normal(size=INPUTS + 1)
            noise = _DAY_EFFECT * common + np.sqrt(1 - _DAY_EFFECT**2) * noise
        elif kind == "AR(1)":
            for row in range(rows):
                last = _FOLLOWS * last + np.sqrt(1 - _FOLLOWS**2) * noise[row]
                noise[row] = last
        if day >= CHANGE_DAY and change != "none":
            column, by = (INPUTS, 0.5) if change == "error" else (0, 1.0)
            noise[:, column] += by
        yield rows_of(noise)
