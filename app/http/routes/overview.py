"""GET /: the one page, in a browser."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import Field

from app.clock import now
from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.request_shapes import Name, Sent
from app.http.strict_route import StrictRoute
from app.web.overview import overview_page

router = APIRouter(tags=["page"], route_class=StrictRoute)
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


class OverviewQuery(Sent):
    """Which model the page shows."""

    model: Name | None = Field(default=None, description="which model; default the first")


@router.get(
    "/",
    summary="See how it stands",
    response_class=HTMLResponse,
    responses=refusals(404, 422, 503),
)
def read_overview(here: Here, query: Annotated[OverviewQuery, Query()]) -> HTMLResponse:
    """No script, nothing from elsewhere."""
    page = overview_page(
        here.ledger,
        query.model,
        now(),
        here.alarms(),
        newest=here.checkpoints.newest,
        clock_skew_seconds_max=here.settings.clock_skew_seconds_max,
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})
