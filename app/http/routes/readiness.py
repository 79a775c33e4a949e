"""Whether the process runs, and whether it can answer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from app.http import examples
from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.problems import problem_response
from app.http.strict_route import StrictRoute
from domain.errors import WhyledgerError

router = APIRouter(tags=["process"], route_class=StrictRoute)


class Liveness(BaseModel):
    """The process runs."""

    status: str = Field(examples=["alive"])


class Readiness(BaseModel):
    """Whether the process can answer."""

    status: str = Field(examples=["ready"])
    ledger: str = Field(description="the ledger's id", examples=[examples.ID])
    size: int = Field(description="entries of the ledger", examples=[1403])
    rows: int = Field(
        description="how many of them are folded row by row: what lists and pages count",
        examples=[1403],
    )
    champions: dict[str, str | None] = Field(examples=[{"car-price": "car-price/3"}])
    alarms: dict[str, str] = Field(examples=[{}])


@router.get("/healthz", summary="Ask whether the process runs", responses=refusals(422))
async def read_liveness() -> Liveness:
    """Touches nothing else."""
    return Liveness(status="alive")


@router.get(
    "/readyz",
    summary="Ask whether the process can answer",
    response_model=Readiness,
    responses=refusals(422, 503),
)
def read_readiness(here: Here) -> Response | dict[str, Any]:
    """503 until the champions are loaded, and while the ledger is out of reach. Alarms stand in it.

    A champion that does not load is an alarm, not unreadiness: the one before goes on serving. So
    is a ledger that lacks what was signed before: it is served, and not signed.
    """
    try:
        size, rows = here.ledger.sizes()
        serving = here.champions.all()
    except WhyledgerError as error:
        return problem_response(
            "not-ready",
            error.message,
            instance="/readyz",
            extra={"alarms": here.alarms()},
            retry_after_seconds=here.settings.retry_after_seconds,
        )
    return {
        "status": "ready",
        "ledger": here.ledger_id,
        "size": size,
        "rows": rows,
        "champions": {
            name: each.champion.model_version if each.champion else None
            for name, each in serving.items()
        },
        "alarms": here.alarms(),
    }
