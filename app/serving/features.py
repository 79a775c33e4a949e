"""From a row's values to the numbers an estimator reads: missing values, steps, categories.

Every step is one elementary operation on doubles, so one row and many rows give the same bits:
plain Python for one, numpy for many, `math.log` for both (numpy's own logarithm differs in the last
bit between machines).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from app.serving.plan_document import (
    CategoryFeature,
    ClipStep,
    Fill,
    LogStep,
    NumberFeature,
    StandardiseStep,
)
from domain.errors import RequestInvalid
from domain.packed import Packed

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
Many = tuple[Floats, Flags] | Codes  # one feature of many rows: values and missing, or codes
Value = float | int | str | None

NOT_A_NUMBER: Final = float("nan")


class NumberInput:
    """A number feature, compiled.

    `filled` is what a missing value becomes after the steps: NaN when the estimator takes missing
    values as they are, None when they are refused.
    """

    def __init__(self, feature: NumberFeature) -> None:
        self.name = feature.name
        self.columns = feature.columns
        self._one = tuple(_step_for_one(step, feature.name) for step in feature.steps)
        self._many = tuple(_step_for_many(step, feature.name) for step in feature.steps)
        self.filled: float | None = None
        if isinstance(feature.missing, Fill):
            self.filled = self._through_steps(feature.missing.value)
        elif feature.missing == "native":
            self.filled = NOT_A_NUMBER

    def prepare(self, value: Any) -> float:
        """One value after the steps.

        Raises:
            RequestInvalid: it is missing and the plan was trained without missing values, or its
                logarithm does not exist.
        """
        if value is None:
            return self._missing()
        return self._through_steps(float(value))

    def prepare_many(self, values: Sequence[Any]) -> tuple[Floats, Flags]:
        """Many values after the steps, shape (rows,), and which of them were missing."""
        if isinstance(values, Packed) and values.numbers is not None:
            missing, present = values.absent, values.numbers[~values.absent]
        else:
            present = np.array(values, np.float64)  # None becomes NaN, which no row holds
            missing = np.isnan(present)
            present = present[~missing] if missing.any() else present
        if not missing.any():
            for step in self._many:
                present = step(present)
            return present, missing
        prepared = np.full(len(values), self._missing())
        for step in self._many:
            present = step(present)
        prepared[~missing] = present
        return prepared, missing

    def _through_steps(self, value: float) -> float:
        for step in self._one:
            value = step(value)
        return value

    def _missing(self) -> float:
        if self.filled is None:
            raise RequestInvalid(
                f"the row has no {self.name!r}, and the champion was trained without missing "
                f"values of it; send {self.name!r}, or let the contract allow it to be missing."
            )
        return self.filled


class CategoryInput:
    """A category feature, compiled: each category is a code, the last one is "never seen"."""

    def __init__(self, feature: CategoryFeature) -> None:
        self.name = feature.name
        self.columns = feature.columns
        self.unseen = len(feature.categories)
        self._codes: dict[Value, int] = {
            category: code for code, category in enumerate(feature.categories)
        }

    def prepare(self, value: Value) -> int:
        """The code of one category; `unseen` stands for all columns zero."""
        return self._codes.get(value, self.unseen)

    def prepare_many(self, values: Sequence[Value]) -> Codes:
        """The codes of many categories, shape (rows,)."""
        codes, unseen = self._codes, self.unseen
        return np.fromiter((codes.get(value, unseen) for value in values), np.int64, len(values))


Input = NumberInput | CategoryInput


def _step_for_one(
    step: ClipStep | LogStep | StandardiseStep, name: str
) -> Callable[[float], float]:
    if isinstance(step, ClipStep):
        low, high = step.low, step.high
        return lambda value: low if value < low else (high if value > high else value)
    if isinstance(step, StandardiseStep):
        mean, scale = step.mean, step.scale
        return lambda value: (value - mean) / scale
    return lambda value: _logarithm(value, name)


def _step_for_many(
    step: ClipStep | LogStep | StandardiseStep, name: str
) -> Callable[[Floats], Floats]:
    if isinstance(step, ClipStep):
        low, high = step.low, step.high
        return lambda values: np.where(values < low, low, np.where(values > high, high, values))
    if isinstance(step, StandardiseStep):
        mean, scale = step.mean, step.scale
        return lambda values: (values - mean) / scale
    return lambda values: np.array([_logarithm(value, name) for value in values.tolist()])


def _logarithm(value: float, name: str) -> float:
    if value > 0:
        return math.log(value)
    raise RequestInvalid(
        f"{name!r} is {value!r}, and the plan takes its logarithm; send a value above 0, and let "
        "the contract's possible range begin above 0."
    )
