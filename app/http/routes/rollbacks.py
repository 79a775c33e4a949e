"""POST /models/{model}/rollbacks: an earlier champion serves again."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body
from pydantic import AliasPath, BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.cycle.promotions import roll_back
from app.http.dependencies import Here, RequestCause
from app.http.documentation import refusals
from app.http.request_shapes import Reason, Sent
from app.http.strict_route import StrictRoute
from domain.events.envelope import Recorded

router = APIRouter(tags=["models"], route_class=StrictRoute)
_REASON: Final = "complaints from the west"


class RollbackRequest(Sent):
    """Let an earlier champion serve again."""

    to: str = Field(min_length=1, max_length=128, examples=["car-price/6"])
    reason: Reason = Field(examples=[_REASON])


class RollbackAnswer(BaseModel):
    """Who serves from here on."""

    model: str = Field(validation_alias=AliasPath("event", "model"), examples=["car-price"])
    model_version: str = Field(
        validation_alias=AliasPath("event", "model_version"), examples=["car-price/6"]
    )
    replaced: str = Field(validation_alias=AliasPath("event", "replaced"), examples=["car-price/7"])
    reason: str = Field(validation_alias=AliasPath("event", "reason"), examples=[_REASON])
    position: int = Field(examples=[4021])


@router.post(
    "/models/{model}/rollbacks",
    status_code=201,
    summary="Let an earlier champion serve again",
    response_model=RollbackAnswer,
    responses=refusals(404, 409, 413, 415, 422, 503),
)
async def create_rollback(
    here: Here,
    cause: RequestCause,
    model: str,
    asked: Annotated[
        RollbackRequest,
        Body(
            openapi_examples={"with a reason": {"value": {"to": "car-price/6", "reason": _REASON}}}
        ),
    ],
) -> Recorded:
    """A new event; history stays. This process serves the version before the answer leaves."""
    here.champions.of(model)
    entry = await run_in_threadpool(
        roll_back, here.ledger, model, to=asked.to, reason=asked.reason, cause=cause
    )
    await run_in_threadpool(here.champions.refresh)
    return entry
