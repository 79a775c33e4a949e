"""The estimators of serving plans, evaluated by numpy: linear models here, trees in `trees.py`.

One row and many rows give the same bits: sums run in one fixed order (columns for linear models,
trees for ensembles), never pairwise and never through BLAS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from app.serving.features import Floats, Input, Many, NumberInput
from app.serving.plan_document import Linear, Trees
from app.serving.trees import MaskedTrees, WalkedTrees, may_be_masked


class Estimator(Protocol):
    """What a compiled estimator does; both ways give the same bits."""

    def score(self, values: Sequence[float], missing: Sequence[bool]) -> float:
        """One row on the transformed scale; `values` are prepared numbers and category codes."""

    def score_many(self, columns: Sequence[Many], rows: int) -> Floats:
        """`rows` rows on the transformed scale, shape (rows,)."""


def compile_estimator(document: Linear | Trees, inputs: Sequence[Input]) -> Estimator:
    """The fastest of our ways to evaluate `document` on what `inputs` prepare."""
    if isinstance(document, Linear):
        return LinearEstimator(document, inputs)
    if may_be_masked(document, inputs):
        return MaskedTrees(document, inputs)
    return WalkedTrees(document, inputs)


class LinearEstimator:
    """intercept + the columns' terms, added in the order of the columns."""

    def __init__(self, document: Linear, inputs: Sequence[Input]) -> None:
        self._intercept = document.intercept
        self._terms: list[tuple[bool, tuple[float, ...]]] = []
        start = 0
        for each in inputs:
            given = document.coefficients[start : start + each.columns]
            start += each.columns
            number = isinstance(each, NumberInput)
            self._terms.append((number, given if number else (*given, 0.0)))

    def score(self, values: Sequence[float], missing: Sequence[bool]) -> float:
        """One row; see `Estimator.score`."""
        total = self._intercept
        for (number, given), value, gone in zip(self._terms, values, missing, strict=True):
            if not number:
                total += given[int(value)]
                continue
            total += value * given[0]
            if len(given) > 1:
                total += given[1] if gone else 0.0
        return total

    def score_many(self, columns: Sequence[Many], rows: int) -> Floats:
        """Many rows; see `Estimator.score_many`."""
        total = np.full(rows, self._intercept)
        for (_, given), column in zip(self._terms, columns, strict=True):
            if not isinstance(column, tuple):
                total += np.array(given)[column]
                continue
            values, missing = column
            total += values * given[0]
            if len(given) > 1:
                total += np.where(missing, given[1], 0.0)
        return total

    def sizes(self, columns: Sequence[Many], rows: int) -> Floats:
        """|intercept| and each input's |coefficient x value|, shape (1 + inputs, rows)."""
        found = [np.full(rows, abs(self._intercept))]
        for (_, given), column in zip(self._terms, columns, strict=True):
            if not isinstance(column, tuple):
                found.append(np.abs(np.array(given)[column]))
                continue
            values, missing = column
            size = np.abs(values * given[0])
            found.append(size + np.where(missing, abs(given[1]), 0.0) if len(given) > 1 else size)
        return np.array(found)
