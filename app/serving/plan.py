"""The serving plan: what answers predictions. Data, loaded without executing anything.

`load_plan` reads and checks the bytes; `predict_row` and `predict_rows` give the same bits, row by
row or many at once. A plan is immutable, so requests in flight finish on the one they began with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.serving.estimators import LinearEstimator, compile_estimator
from app.serving.features import CategoryInput, Floats, Input, Many, NumberInput, Value
from app.serving.plan_document import PlanDocument, PlanInvalid, parse_plan
from domain.canonical import sha256_hex
from domain.decisions.parity import Terms
from domain.errors import RequestInvalid
from domain.events.events import Row
from domain.packed import one_by_one

__all__ = ["PlanInvalid", "PlanPrediction", "PlanPredictions", "ServingPlan", "load_plan"]


class PlanPrediction(NamedTuple):
    """One prediction: on the transformed scale and in the target's unit."""

    transformed: float
    native: float  # for a log target exp(transformed): a median, not a mean
    unknown_categories: tuple[str, ...]  # features whose category the plan never saw


class PlanPredictions(NamedTuple):
    """Many predictions, in the order of the rows."""

    transformed: Floats  # shape (rows,)
    native: Floats  # shape (rows,)
    unknown_categories: list[tuple[str, ...]]


class PlanColumn(NamedTuple):
    """Predictions of many rows, shape (rows,), in their order."""

    transformed: Floats
    native: Floats


def load_plan(content: bytes, expected_sha256: str | None = None) -> ServingPlan:
    """The plan whose canonical JSON is `content`, ready to predict.

    Raises:
        PlanInvalid: the bytes do not hash to `expected_sha256` (64 hex digits; None skips the
            check), or they are no plan that may serve; the first faults are named.
    """
    sha256 = sha256_hex(content)
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise PlanInvalid(
            f"the plan's bytes hash to {sha256}, not {expected_sha256}; "
            "fetch the artefact from the ledger again."
        )
    return ServingPlan(parse_plan(content), sha256)


class ServingPlan:
    """One model version, ready to predict; safe to share between threads."""

    def __init__(self, document: PlanDocument, sha256: str) -> None:
        self.sha256 = sha256
        self.model = document.model
        self.contract_digest = document.contract_digest
        self.target = document.target
        self.feature_names = tuple(feature.name for feature in document.features)
        self._inputs: tuple[Input, ...] = tuple(
            NumberInput(feature) if feature.type == "number" else CategoryInput(feature)
            for feature in document.features
        )
        self._estimator = compile_estimator(document.estimator, self._inputs)
        self.logarithmic = document.target.transform == "log"  # trained on that scale

    def predict_row(self, row: Row) -> PlanPrediction:
        """The prediction for one row the contract accepted; further columns are not looked at.

        Raises:
            RequestInvalid: a feature is missing that the plan needs, or no finite number results.
        """
        values: list[float] = []
        missing: list[bool] = []
        unknown: list[str] = []
        for each in self._inputs:
            value = row.get(each.name)
            missing.append(value is None)
            prepared = each.prepare(value)
            values.append(prepared)
            if type(each) is CategoryInput and prepared == each.unseen and value is not None:
                unknown.append(each.name)
        transformed = self._estimator.score(values, missing)
        return PlanPrediction(transformed, self._native(transformed), tuple(unknown))

    def predict_rows(self, rows: Sequence[Row]) -> PlanPredictions:
        """The predictions for many rows, each bit-equal to `predict_row` of it.

        Raises:
            RequestInvalid: as `predict_row`, for the first such row and feature.
        """
        columns = {name: [row.get(name) for row in rows] for name in self.feature_names}
        return self.predict_together(columns, len(rows))

    def predict_together(
        self, columns: Mapping[str, Sequence[Value]], rows: int
    ) -> PlanPredictions:
        """As `predict_rows`, of so many rows that are given by columns; one may lack in all."""
        given = [columns.get(each.name) or [None] * rows for each in self._inputs]
        prepared = [each.prepare_many(v) for each, v in zip(self._inputs, given, strict=True)]
        unknown: list[tuple[str, ...]] = [()] * rows
        for each, codes, values in zip(self._inputs, prepared, given, strict=True):
            if isinstance(each, NumberInput) or isinstance(codes, tuple):
                continue
            for at in np.flatnonzero(codes == each.unseen).tolist():
                if values[at] is not None:
                    unknown[at] = (*unknown[at], each.name)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            transformed = self._estimator.score_many(prepared, rows)
        native = [self._native(value) for value in transformed.tolist()]
        return PlanPredictions(transformed, np.array(native, np.float64), unknown)

    def predict_columns(self, columns: Mapping[str, Sequence[Value]], rows: int) -> PlanColumn:
        """As `predict_rows`, of columns that are asked for one at a time, and without telling which
        categories are unknown.

        Args:
            columns: the values of each of `feature_names`, None where missing.
            rows: how many each has.

        Raises:
            RequestInvalid: as `predict_row`, for the first such feature and row.
        """
        prepared = [each.prepare_many(columns[each.name]) for each in self._inputs]
        with np.errstate(over="ignore", invalid="ignore"):
            transformed = self._estimator.score_many(prepared, rows)
        native = (self._native(value) for value in one_by_one(transformed))
        return PlanColumn(transformed, np.fromiter(native, np.float64, rows))

    def terms_of(self, rows: Sequence[Row]) -> Terms | None:
        """What a linear plan adds up for each of `rows`; None for trees, which add up nothing.

        Raises:
            RequestInvalid: a row lacks a feature that the plan needs.
        """
        if not isinstance(self._estimator, LinearEstimator):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            sizes = self._estimator.sizes(self._prepared(rows), len(rows))
            total = np.asarray(sizes.sum(axis=0), np.float64)
        return Terms(total, [self.feature_names[at] for at in sizes[1:].argmax(axis=0).tolist()])

    def _prepared(self, rows: Sequence[Row]) -> list[Many]:
        columns: list[Many] = []
        for each in self._inputs:
            given: list[Value] = [row.get(each.name) for row in rows]
            columns.append(each.prepare_many(given))
        return columns

    def _native(self, transformed: float) -> float:
        try:
            native = math.exp(transformed) if self.logarithmic else transformed
        except OverflowError:
            native = math.inf
        if math.isfinite(native):
            return native
        raise RequestInvalid(
            f"the prediction for {self.target.name!r} is no finite number (transformed scale: "
            f"{transformed!r}); the row lies far outside what the champion was trained on."
        )
