"""The rows of a model's years lived again: what answered each, and how wrong it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.audit.whatif import ServedRows
from app.cycle.steps.scale import rmse_on_scale
from app.serving.plan import ServingPlan
from domain.contract.contract import Contract
from domain.errors import PredictionsUnusable, RequestInvalid
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade

Asked = tuple[Recorded, PredictionMade]


@dataclass(frozen=True, slots=True)
class ServedAgain:
    """One row as it was served in the scratch ledger; both in the target's unit."""

    prediction: float
    by_first: float  # what the first champion would have said


def served_rows(
    served: dict[str, ServedAgain], labels: dict[str, float], contract: Contract
) -> ServedRows:
    """The rows of `served` that have a label."""
    pairs = [(row, labels[identity]) for identity, row in served.items() if identity in labels]
    saved = [abs(row.by_first - label) - abs(row.prediction - label) for row, label in pairs]
    return ServedRows(
        rows=len(pairs),
        rmse=_rmse([(row.prediction, label) for row, label in pairs], contract),
        first_rmse=_rmse([(row.by_first, label) for row, label in pairs], contract),
        saved=math.fsum(saved) if pairs else None,
    )


def both_answers(
    asked: list[Asked], plan: ServingPlan, first: ServingPlan
) -> Iterator[tuple[Asked, float | None, float | None]]:
    """What both models answer to each, target's unit; None where one of them cannot."""
    rows = [event.row for _, event in asked]
    try:
        native = plan.predict_rows(rows).native.tolist() if rows else []
        by_first = first.predict_rows(rows).native.tolist() if rows else []
    except (RequestInvalid, PredictionsUnusable):
        if len(asked) == 1:
            yield asked[0], None, None
        else:  # one by one, so that only those are lost that cannot be predicted
            for one in asked:
                yield from both_answers([one], plan, first)
        return
    yield from zip(asked, native, by_first, strict=True)


def _rmse(pairs: list[tuple[float, float]], contract: Contract) -> float | None:
    """RMSE on the target's scale; None without rows, or where one has no logarithm."""
    predicted, labels = (np.array([pair[side] for pair in pairs], np.float64) for side in (0, 1))
    return rmse_on_scale(contract.target.transform, predicted, labels)
