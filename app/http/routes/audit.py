"""What a reviewer asks: the decisions, each one whole, and an export to take home."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from app.audit.decision import Decision, decision, decisions
from app.audit.decision_filters import OUTCOMES, check_model, check_outcome
from app.http.documentation import refusals
from app.http.queries import Here, Limit, known_query_only, time_or_none
from app.http.shapes import DecisionAnswer, DecisionPage
from app.reports.export import export_csv, export_html, export_jsonl
from app.web.pages import stylesheet
from domain.canonical import INTEGER_MAX
from domain.errors import UnknownThing

router = APIRouter(tags=["audit"], dependencies=[Depends(known_query_only)])
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REPORT_POLICY: Final = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
_MEDIA_TYPES: Final = {
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
}
_EXPORTS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "jsonl": export_jsonl,
    "csv": export_csv,
    "html": partial(export_html, stylesheet=stylesheet()),
}

ModelFilter = Annotated[str | None, Query(max_length=100, description="decisions of this model")]
OutcomeFilter = Annotated[
    str | None, Query(max_length=100, description=" or ".join(map(repr, OUTCOMES)))
]
Since = Annotated[
    str | None, Query(alias="from", max_length=64, description="as_of at or after (RFC 3339)")
]
Until = Annotated[
    str | None, Query(alias="to", max_length=64, description="as_of before (RFC 3339)")
]


@router.get(
    "/audit/decisions",
    summary="List decisions, oldest first",
    response_model=DecisionPage,
    responses=refusals(404, 422, 503),
)
def list_all_decisions(
    here: Here,
    response: Response,
    model: ModelFilter = None,
    outcome: OutcomeFilter = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[
        int, Query(ge=-1, le=INTEGER_MAX, description="positions greater than this")
    ] = -1,
    limit: Limit = 100,
) -> dict[str, list[Decision]]:
    """Undecided ones included. The `Link` header leads to the next page."""
    limit = min(limit, here.settings.page_entries_max)
    check_outcome(outcome)
    with here.ledger.connect() as connection:
        check_model(connection, model)
        found = decisions(
            connection,
            model=model,
            outcome=outcome,
            since=time_or_none(since),
            until=time_or_none(until),
            after=cursor,
            limit=limit,
        )
    if len(found) == limit:
        asked = {"model": model, "outcome": outcome, "from": since, "to": until}
        query = {name: value for name, value in asked.items() if value is not None}
        query |= {"cursor": str(found[-1].position), "limit": str(limit)}
        response.headers["Link"] = f'</audit/decisions?{urlencode(query)}>; rel="next"'
    return {"decisions": found}


@router.get(
    "/audit/decisions/{decision}",
    summary="Look at one decision: why, clause by clause, and what came of it",
    response_model=DecisionAnswer,
    responses=refusals(404, 422, 503),
)
def read_decision(here: Here, id: Annotated[str, Path(alias="decision")]) -> Decision:
    """Everything it stood on, as recorded, and in words."""
    if not _UUID.fullmatch(id.lower()):
        raise UnknownThing(f"{id[:100]!r} is no decision's id. List them: GET /audit/decisions.")
    with here.ledger.connect() as connection:
        return decision(connection, id.lower())


@router.get(
    "/audit/export",
    summary="Take the decisions home: JSON Lines, CSV or a printable report",
    response_class=Response,
    responses=refusals(404, 422, 503)
    | {200: {"description": "streamed", "content": {kind: {} for kind in _MEDIA_TYPES.values()}}},
)
def export_decisions(
    here: Here,
    format: Annotated[Literal["jsonl", "csv", "html"], Query(description="which of the three")],
    model: ModelFilter = None,
    outcome: OutcomeFilter = None,
    since: Since = None,
    until: Until = None,
) -> StreamingResponse:
    """CSV cells that a spreadsheet would run as a formula begin with an apostrophe."""
    check_outcome(outcome)
    with here.ledger.connect() as connection:
        check_model(connection, model)
    lines = iter(
        _EXPORTS[format](
            here.ledger,
            model=model,
            outcome=outcome,
            since=time_or_none(since),
            until=time_or_none(until),
        )
    )
    headers = {"Content-Security-Policy": _REPORT_POLICY}
    if format != "html":
        headers["Content-Disposition"] = f'attachment; filename="decisions.{format}"'
    return StreamingResponse(_begun(lines), 200, headers, _MEDIA_TYPES[format])


def _begun(lines: Iterator[str]) -> Iterator[str]:
    """`lines` with the first one made: what cannot begin is a problem, not half an answer."""
    return chain([next(lines, "")], lines)
