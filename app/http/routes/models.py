"""The models: who serves, since when, and how it stands."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Depends

from app.audit.health import Health, current_health
from app.clock import now
from app.http.documentation import refusals
from app.http.queries import Here, known_query_only
from app.http.shapes import HealthAnswer, ModelAnswer, ModelPage, WholeModelAnswer
from app.process import Process
from app.projections.models import ModelView, get_model, list_models
from app.serving.champions import Serving
from domain.errors import UnknownModel

router = APIRouter(tags=["models"], dependencies=[Depends(known_query_only)])


@router.get("/models", summary="List the models", responses=refusals(422, 503))
def list_all_models(here: Here) -> ModelPage:
    """Every model a contract was adopted for, by name."""
    serving = here.champions.all()
    with here.ledger.connect() as connection:
        views = list_models(connection)
    return ModelPage(
        models=[_answer(view, serving[view.model]) for view in views if view.model in serving]
    )


@router.get("/models/{model}", summary="Look at one model", responses=refusals(404, 422, 503))
def read_model(here: Here, model: str) -> WholeModelAnswer:
    """Who serves and since when, from the ledger; and what this process answers with."""
    serving = here.champions.of(model)
    view = _view(here, model)
    return WholeModelAnswer(
        **_answer(view, serving).model_dump(), contract=orjson.loads(view.contract)
    )


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
        return current_health(connection, view, serving.contract, at, alarm=serving.alarm)


def _view(here: Process, model: str) -> ModelView:
    with here.ledger.connect() as connection:
        view = get_model(connection, model)
    if view is None:
        raise UnknownModel(f"model {model!r} is unknown. POST a contract for it to /contracts.")
    return view


def _answer(view: ModelView, serving: Serving) -> ModelAnswer:
    return ModelAnswer(
        model=view.model,
        title=serving.contract.title,
        contract_digest=view.contract_digest,
        contract_position=view.contract_position,
        policy=view.policy,
        champion=view.champion,
        answers=serving.champion.model_version if serving.champion else None,
        plan_digest=view.plan_sha256,
        champion_since=view.champion_since,
        champion_as_of=view.champion_as_of,
        champion_cycle=view.champion_cycle,
        trained_until=view.trained_until,
        last_cycle=view.last_cycle,
        cycles=view.cycles_started,
        decisions=view.decisions,
        trainings=view.trainings,
        promotions=view.promotions,
        rejections=view.rejections,
        rollbacks=view.rollbacks,
        alarm=serving.alarm,
    )
