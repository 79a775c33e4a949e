"""The models: who serves, since when, and how it stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, Json

from app.audit.health import Health, current_health
from app.audit.model import model_told
from app.audit.waiting import waits_for
from app.clock import now
from app.http import examples
from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.paging import PageQuery, link_next
from app.http.request_shapes import Name
from app.http.strict_route import StrictRoute
from app.ledger.store import Connection
from app.process import Process
from app.projections.cycles_that_count import model_counts
from app.projections.models import ModelView, get_model, list_models
from app.serving.champions import Serving
from domain.errors import UnknownModel

router = APIRouter(tags=["models"], route_class=StrictRoute)


class ModelsQuery(PageQuery):
    """Which page of the models."""

    cursor: Name = Field(default="", description="models with a name after this")


class ModelAnswer(BaseModel):
    """One model: what serves, since when, and what has happened."""

    model: str = Field(examples=["car-price"])
    title: str = Field(examples=["List price of car models sold in the United States"])
    contract_digest: str = Field(examples=[examples.SHA256])
    contract_position: int = Field(examples=[1])
    policy: str = Field(examples=["strict-and"])
    champion: str | None = Field(examples=["car-price/3"])
    answers: str | None = Field(
        description="the version this process answers with; differs for less than a second",
        examples=["car-price/3"],
    )
    plan_digest: str | None = Field(validation_alias="plan_sha256", examples=[examples.SHA256])
    champion_since: str | None = Field(examples=["2026-02-03T09:30:04.000000Z"])
    champion_as_of: str | None = Field(examples=[examples.TIME])
    champion_cycle: str | None = Field(examples=["car-price-12"])
    trained_until: str | None = Field(examples=["1976-07-01T00:00:00.000001Z"])
    last_cycle: str | None = Field(examples=["car-price-12"])
    cycles: int = Field(
        validation_alias="cycles_started",
        description="started ones, those set aside among them",
        examples=[12],
    )
    decisions: int = Field(description="of cycles that count, as the next three", examples=[12])
    trainings: int = Field(examples=[8])
    promotions: int = Field(examples=[7])
    rejections: int = Field(examples=[1])
    set_aside: int = Field(description="cycles that a later one set aside", examples=[0])
    rollbacks: int = Field(examples=[0])
    alarm: str | None = Field(description="why the champion does not serve", examples=[None])
    waits: str | None = Field(
        description="why its open cycle does not promote its candidate yet",
        examples=[None],
    )


class WholeModelAnswer(ModelAnswer):
    """One model with its contract."""

    contract: Json[dict[str, Any]] = Field(description="the document in force, whole, as adopted")


class ModelPage(BaseModel):
    """Models by name; the `Link` header leads to the next page."""

    models: list[ModelAnswer]


class ReignAnswer(BaseModel):
    """What one champion was worth in its reign, measured on rows it served that got labels."""

    model_version: str = Field(examples=["car-price/2"])
    previous: str | None = Field(description="who served before", examples=["car-price/1"])
    ended: bool = Field(examples=[True])
    value: float | None = Field(description="in `unit`; null: see the sentence", examples=[61328.0])
    low: float | None = Field(description="of the 95 % interval", examples=[23910.6])
    high: float | None = Field(examples=[98745.5])
    as_of: str | None = Field(
        description="of the last measurement, whose labels count", examples=[examples.TIME]
    )
    trained: bool = Field(
        description="for this reign; a rollback brings back what was trained before",
        examples=[True],
    )
    after_cost: float | None = Field(
        description="less the cost of its own training; null: none is declared",
        examples=[None],
    )
    unit: str | None = Field(examples=["1983 USD"])
    served_rows: int = Field(examples=[197])
    labelled_rows: int = Field(examples=[197])
    sentence: str = Field(examples=["car-price/2 saved 61,328 1983 USD against car-price/1"])


class ValueAnswer(BaseModel):
    """What a model's champions were worth, reign by reign, and together."""

    reigns: list[ReignAnswer] = Field(description="oldest first")
    value: float | None = Field(description="of all that were measured", examples=[61328.0])
    trainings: int | None = Field(
        description="completed since the first model served, promoted or rejected", examples=[1]
    )
    retraining_cost: float | None = Field(
        description="of each of them, in `unit`; null: none is declared", examples=[None]
    )
    after_cost: float | None = Field(
        description="value less what these trainings cost", examples=[None]
    )
    unit: str | None = Field(examples=["1983 USD"])
    measured: int = Field(description="reigns in the sum", examples=[1])
    sentence: str = Field(examples=["no reign has a measured value yet"])
    sentences: list[str] = Field(
        description="each reign's, oldest first, and this one; none before anybody reigned",
        examples=[[]],
    )


class CountsAnswer(BaseModel):
    """How often what happened in the cycles that count, and how many do not."""

    cycles: int = Field(description="that have ended", examples=[12])
    decisions: int = Field(examples=[12])
    trainings: int = Field(description="started, failed ones included", examples=[8])
    promotions: int = Field(description="by cycles", examples=[7])
    rejections: int = Field(examples=[1])
    set_aside: int = Field(description="cycles that a later one set aside", examples=[0])


class HealthAnswer(BaseModel):
    """A model's health now. Stale is never green."""

    model: str = Field(examples=["car-price"])
    state: str = Field(description="healthy, degraded, stale or no champion", examples=["healthy"])
    reasons: list[str] = Field(description="why it is not healthy", examples=[[]])
    sentence: str = Field(description="both in one", examples=["car-price is healthy"])
    champion: str | None = Field(examples=["car-price/3"])
    at: str = Field(description="when this was asked", examples=["2026-02-03T09:31:00.000000Z"])
    days_since_evaluation: float | None = Field(examples=[0.0006])
    overdue_predictions: int = Field(
        description="older than the contract lets labels take", examples=[0]
    )
    overdue_unlabelled: int = Field(description="of those, without a label", examples=[0])
    counted_until: int = Field(
        description="the last position whose rows are in these two counts; -1: none are yet",
        examples=[1402],
    )
    halted: int = Field(description="cycles that count and halted", examples=[0])
    failed: int = Field(description="cycles that count and failed", examples=[0])
    undecided: int = Field(description="cycles that count and came to no decision", examples=[0])
    counts: CountsAnswer
    success_rate: float | None = Field(description="promotions / trainings", examples=[0.875])
    promotion_rate: float | None = Field(description="promotions / decisions", examples=[0.583])
    rates: str = Field(
        description="both in words",
        examples=[
            "88% of trainings and 58% of decisions ended in a promotion (n = 8 and 12)",
        ],
    )
    last_cycle: str | None = Field(description="that ended", examples=["car-price-12"])
    last_report: dict[str, Any] | None = Field(description="what that cycle measured; or null")
    value: ValueAnswer
    alarm: str | None = Field(examples=[None])
    waits: str | None = Field(
        description="why its open cycle does not promote its candidate yet", examples=[None]
    )


@router.get(
    "/models",
    summary="List the models",
    response_model=ModelPage,
    responses=refusals(422, 503),
)
def list_all_models(
    here: Here, request: Request, response: Response, query: Annotated[ModelsQuery, Query()]
) -> dict[str, list[dict[str, Any]]]:
    """Every model a contract was adopted for, by name."""
    limit = min(query.limit, here.settings.page_entries_max)
    serving = here.champions.all()
    with here.ledger.connect() as connection:
        views = {view.model: view for view in list_models(connection) if view.model in serving}
        names = sorted(name for name in views if name > query.cursor)[:limit]
        found = [_answer(connection, views[name], serving[name]) for name in names]
    link_next(request, response, names, limit, str)
    return {"models": found}


@router.get(
    "/models/{model}",
    summary="Look at one model",
    response_model=WholeModelAnswer,
    responses=refusals(404, 422, 503),
)
def read_model(here: Here, model: str) -> dict[str, Any]:
    """Who serves and since when, from the ledger; and what this process answers with."""
    serving, view = here.champions.of(model), _view(here, model)
    with here.ledger.connect() as connection:
        return _answer(connection, view, serving)


@router.get(
    "/models/{model}/health",
    summary="Ask how a model stands now",
    response_model=HealthAnswer,
    responses=refusals(404, 422, 503),
)
def read_health(here: Here, model: str) -> Health:
    """Healthy, degraded, stale or no champion, with reasons; what became stale since shows."""
    serving = here.champions.of(model)
    view, at = _view(here, model), now()
    with here.ledger.connect() as connection:
        return current_health(
            connection,
            view,
            at,
            alarm=serving.alarm,
            clock_skew_seconds_max=here.settings.clock_skew_seconds_max,
        )


def _view(here: Process, model: str) -> ModelView:
    with here.ledger.connect() as connection:
        view = get_model(connection, model)
    if view is None:
        raise UnknownModel.named(model)
    return view


def _answer(connection: Connection, view: ModelView, serving: Serving) -> dict[str, Any]:
    """The model as the ledger has it, and as it answers in this process."""
    return {
        **asdict(model_told(view, model_counts(connection, view))),
        "answers": serving.champion.model_version if serving.champion else None,
        "alarm": serving.alarm,
        "waits": waits_for(connection, view.model),
    }
