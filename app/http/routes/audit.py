"""What a reviewer asks: the decisions, each one whole, and an export to take home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.audit.decision_filters import OUTCOMES, check_model, check_outcome
from app.http import examples
from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.paging import PageQuery, link_next
from app.http.request_shapes import Name, Sent, Time
from app.http.strict_route import StrictRoute
from app.projections.decisions import DecisionView, get_decision, list_decisions
from app.reports.export import export_csv, export_html, export_jsonl
from domain.canonical import INTEGER_MAX
from domain.errors import UnknownThing

router = APIRouter(tags=["audit"], route_class=StrictRoute)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_MEDIA_TYPES: Final = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
_EXPORTS: Final = {"jsonl": export_jsonl, "csv": export_csv, "html": export_html}


class DecisionFilter(Sent):
    """Which decisions are asked for."""

    model: Name | None = Field(default=None, description="decisions of this model")
    outcome: Name | None = Field(default=None, description=" or ".join(map(repr, OUTCOMES)))
    since: Time | None = Field(
        default=None, alias="from", description="as_of at or after (RFC 3339)"
    )
    until: Time | None = Field(default=None, alias="to", description="as_of before (RFC 3339)")


class DecisionsQuery(DecisionFilter, PageQuery):
    """Which page of which decisions."""

    cursor: int = Field(
        default=-1, ge=-1, le=INTEGER_MAX, description="positions greater than this"
    )


class ExportQuery(DecisionFilter):
    """Which decisions to take home, and how."""

    format: Literal["jsonl", "csv", "html"] = Field(description="which of the three")


class DecisionAnswer(BaseModel):
    """One decision and why."""

    id: str = Field(examples=[examples.ID])
    position: int = Field(examples=[1397])
    model: str = Field(examples=["car-price"])
    cycle: str = Field(examples=["car-price-12"])
    outcome: str = Field(examples=["keep: rules not met"])
    as_of: str = Field(examples=[examples.TIME])
    recorded_at: str = Field(examples=["2026-02-03T09:30:02.000000Z"])
    sentence: str = Field(examples=["KEEP: cool-down 20.8 h (needs > 24 h)"])
    decision: dict[str, Any] = Field(
        validation_alias="body", description="facts, clauses, trace: the event's data, whole"
    )


class DecisionPage(BaseModel):
    """Decisions by position, oldest first; the `Link` header leads to the next page."""

    decisions: list[DecisionAnswer]


@router.get(
    "/audit/decisions",
    summary="List decisions, oldest first",
    response_model=DecisionPage,
    responses=refusals(404, 422, 503),
)
def list_all_decisions(
    here: Here, request: Request, response: Response, query: Annotated[DecisionsQuery, Query()]
) -> dict[str, list[DecisionView]]:
    """Undecided ones included. The `Link` header leads to the next page."""
    limit = min(query.limit, here.settings.page_entries_max)
    check_outcome(query.outcome)
    with here.ledger.connect() as connection:
        check_model(connection, query.model)
        found = list_decisions(
            connection,
            model=query.model,
            outcome=query.outcome,
            since=query.since,
            until=query.until,
            after=query.cursor,
            limit=limit,
        )
    link_next(request, response, found, limit, lambda view: view.position)
    return {"decisions": found}


@router.get(
    "/audit/decisions/{decision}",
    summary="Look at one decision: facts, clauses, trace, sentence",
    response_model=DecisionAnswer,
    responses=refusals(404, 422, 503),
)
def read_decision(here: Here, decision: str) -> DecisionView:
    """Everything it stood on, as recorded."""
    if not _UUID.fullmatch(decision.lower()):
        raise UnknownThing(
            f"{decision[:100]!r} is no decision's id. List them: GET /audit/decisions."
        )
    with here.ledger.connect() as connection:
        return get_decision(connection, decision.lower())


@router.get(
    "/audit/export",
    summary="Take the decisions home: JSON Lines, CSV or a printable report",
    response_class=Response,
    responses=refusals(404, 422, 503)
    | {200: {"description": "streamed", "content": {kind: {} for kind in _MEDIA_TYPES.values()}}},
)
def export_decisions(here: Here, query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
    """CSV cells that a spreadsheet would run as a formula begin with an apostrophe."""
    check_outcome(query.outcome)
    with here.ledger.connect() as connection:
        check_model(connection, query.model)
    lines = iter(
        _EXPORTS[query.format](
            here.ledger,
            model=query.model,
            outcome=query.outcome,
            since=query.since,
            until=query.until,
        )
    )
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    if query.format != "html":
        headers["Content-Disposition"] = f'attachment; filename="decisions.{query.format}"'
    return StreamingResponse(_begun(lines), 200, headers, _MEDIA_TYPES[query.format])


def _begun(lines: Iterator[str]) -> Iterator[str]:
    """`lines` with the first one made: what cannot begin is a problem, not half an answer."""
    return chain([next(lines, "")], lines)
