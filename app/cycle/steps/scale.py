"""The scale that predictions and labels are compared on: that of the plan which predicted.

A contract may change its transform while a champion of the earlier one serves. Its drift, its error
and what it is worth are measured as it was trained, or a change of scale would look like drift.
"""

from __future__ import annotations

import math

import numpy as np

from app.cycle.steps.knowledge import Knowledge
from domain.contract.contract import Contract
from domain.decisions.rule_numbers import FIRST, form
from domain.errors import PredictionsUnusable
from domain.packed import Floats, one_by_one
from domain.target_scale import Transform


def scale_of(known: Knowledge, plan_sha256: str) -> Transform:
    """The transform of the stored plan; of the contract in force for cycles of the first form."""
    if form(known.started, "scale") == FIRST:
        return known.contract.target.transform
    return known.plan(plan_sha256).target.transform


def on_scale(transform: Transform, values: Floats, what: str) -> Floats:
    """`values` (target's unit) on the transformed scale.

    Args:
        transform: the scale, as `scale_of` says it.
        values: finite numbers.
        what: whose they are, for the error: "a prediction of car-price/1".

    Raises:
        PredictionsUnusable: the scale is logarithmic and a value is 0 or less.
    """
    if transform == "none":
        return values
    low = values.min(initial=math.inf)
    if low <= 0:
        raise PredictionsUnusable(
            f"{what} is {low:.6g}, which has no logarithm, and by logarithms it is judged. Adopt a "
            "contract with the scale its champion was trained on, or force a retraining."
        )
    # One by one: numpy's logarithm differs from a row's alone in the last bit.
    return np.fromiter(map(math.log, one_by_one(values)), np.float64, len(values))


def rmse_on_scale(transform: Transform, predicted: Floats, labels: Floats) -> float | None:
    """Root mean square error, transformed scale; None without rows, or where one has no logarithm.

    Args:
        transform: the scale of the plan that predicted.
        predicted: its predictions, target's unit.
        labels: the true values of the same rows, target's unit.
    """
    if not len(predicted):
        return None
    try:
        apart = on_scale(transform, predicted, "a prediction") - on_scale(
            transform, labels, "a label"
        )
    except PredictionsUnusable:
        return None
    return math.sqrt(sum(apart**2) / len(apart))


def transformed(contract: Contract, value: float) -> float:
    """`value` (target's unit) on the contract's transformed scale, which the gates judge by."""
    return math.log(value) if contract.target.transform == "log" else value
