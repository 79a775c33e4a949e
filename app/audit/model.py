"""One model: who serves, by which documents, and how often what happened in its cycles."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import orjson

from app.projections.cycles_that_count import ModelCounts
from app.projections.models import ModelView


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTold(ModelView):
    """The model as recorded; decisions, trainings, promotions, rejections of cycles that count."""

    title: str  # of the contract in force
    cycles: int  # ended ones that count
    set_aside: int  # cycles that a later one set aside


def model_told(view: ModelView, counts: ModelCounts) -> ModelTold:
    """The model `view` with its `counts` of the cycles that count."""
    title = str(orjson.loads(view.contract)["title"])
    return ModelTold(**{**asdict(view), **asdict(counts), "title": title})
