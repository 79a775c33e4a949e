"""GET /: the one page, in a browser."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from app.clock import now
from app.http.documentation import refusals
from app.http.queries import Here, known_query_only, plain_or_none
from app.web.overview import overview_page

router = APIRouter(tags=["page"])
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@router.get(
    "/",
    summary="See how it stands",
    dependencies=[Depends(known_query_only)],
    response_class=HTMLResponse,
    responses=refusals(404, 422, 503),
)
def read_overview(
    here: Here,
    model: Annotated[
        str | None, Query(max_length=100, description="which model; default the first")
    ] = None,
) -> HTMLResponse:
    """No script, nothing from elsewhere."""
    page = overview_page(here.ledger, plain_or_none(model), now())
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})
