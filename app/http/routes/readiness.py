"""Whether the process runs, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.http.documentation import refusals
from app.http.problems import problem_response
from app.http.queries import process_of
from app.http.shapes import Liveness, Readiness
from domain.errors import WhyledgerError

router = APIRouter(tags=["process"])


@router.get("/healthz", summary="Ask whether the process runs")
async def read_liveness() -> Liveness:
    """Touches nothing else."""
    return Liveness(status="alive")


@router.get(
    "/readyz",
    summary="Ask whether the process can answer",
    response_model=Readiness,
    responses=refusals(503),
)
def read_readiness(request: Request) -> Response:
    """503 until the champions are loaded, and while the ledger is out of reach. Alarms stand in it.

    A champion that does not load is an alarm, not unreadiness: the one before goes on serving. So
    is a ledger that lacks what was signed before: it is served, and not signed.
    """
    process = process_of(request)
    try:
        size = process.ledger.size()
        serving = process.champions.all()
    except WhyledgerError as error:
        return problem_response(
            "not-ready",
            error.message,
            instance="/readyz",
            extra={"alarms": process.alarms()},
            retry_after_seconds=process.settings.retry_after_seconds,
        )
    champions = {
        name: each.champion.model_version if each.champion else None
        for name, each in serving.items()
    }
    answer = Readiness(
        status="ready",
        ledger=process.ledger_id,
        size=size,
        champions=champions,
        alarms=process.alarms(),
    )
    return JSONResponse(answer.model_dump())
