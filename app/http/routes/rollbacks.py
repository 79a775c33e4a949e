"""POST /models/{model}/rollbacks: an earlier champion serves again."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from app.cycle.promotions import roll_back
from app.http.bodies import JSON, content_type, parse_as, parse_json, read_body
from app.http.documentation import body_of, refusals
from app.http.queries import process_of, refuse_query
from app.http.request_identity import cause_of
from app.http.shapes import RollbackAnswer, RollbackRequest
from domain.errors import LedgerDamaged
from domain.events.events import ChampionRolledBack

router = APIRouter(tags=["models"])


@router.post(
    "/models/{model}/rollbacks",
    status_code=201,
    summary="Let an earlier champion serve again",
    responses=refusals(404, 409, 413, 415, 422, 503),
    openapi_extra=body_of(
        {JSON[0]: (RollbackRequest,)},
        {"with a reason": {"to": "car-price/6", "reason": "complaints from the west"}},
    ),
)
async def create_rollback(request: Request, model: str) -> RollbackAnswer:
    """A new event; history stays. This process serves the version before the answer leaves."""
    process = process_of(request)
    refuse_query(request)
    content_type(request, JSON)
    body = await read_body(request, process.settings.body_bytes_max)
    process.champions.of(model)
    asked = parse_as(RollbackRequest, parse_json(body))
    entry = await run_in_threadpool(
        roll_back,
        process.ledger,
        model,
        to=asked.to,
        reason=asked.reason,
        cause=cause_of(request),
    )
    await run_in_threadpool(process.champions.refresh)
    event = entry.event
    if not isinstance(event, ChampionRolledBack):
        raise LedgerDamaged(f"entry {entry.position} is not the rollback just appended.")
    return RollbackAnswer(
        model=event.model,
        model_version=event.model_version,
        replaced=event.replaced,
        reason=event.reason,
        position=entry.position,
    )
