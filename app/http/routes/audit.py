"""What a reviewer asks: the decisions, each one whole, every change, an export to take home."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Annotated, Any, Final, Literal, get_args

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from app.audit.change import changes
from app.audit.decision import Decision, decision, decisions
from app.audit.decision_filters import OUTCOMES, check_model, check_outcome
from app.http import examples
from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.paging import PageQuery, page_of
from app.http.request_shapes import Name, Sent, Time, Whole
from app.http.strict_route import StrictRoute
from app.projections.changes import Kind
from app.reports.export import export_csv, export_html, export_jsonl
from app.web.pages import stylesheet
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
_EXPORTS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "jsonl": export_jsonl,
    "csv": export_csv,
    "html": partial(export_html, stylesheet=stylesheet()),
}


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

    cursor: Whole = Field(
        default=-1, ge=-1, le=INTEGER_MAX, description="positions greater than this"
    )


class ChangesQuery(PageQuery):
    """Which page of which changes."""

    model: Name | None = Field(
        default=None, description="changes of this model, and of policies, which no model owns"
    )
    cursor: Whole = Field(
        default=-1, ge=-1, le=INTEGER_MAX, description="positions greater than this"
    )


class ExportQuery(DecisionFilter):
    """Which decisions to take home, and how."""

    format: Literal["jsonl", "csv", "html"] = Field(description="which of the three")


class ClauseAnswer(BaseModel):
    """One clause of the policy: exact, and in the words every page and report shows."""

    clause: str = Field(examples=["cool_down"])
    fact: str = Field(examples=["hours_since_last_retraining"])
    label: str = Field(examples=["cool-down"])
    operator: str = Field(examples=[">"])
    threshold: float = Field(examples=[24.0])
    unit: str = Field(description="empty when dimensionless", examples=["h"])
    observed: float | None = Field(description="null: unknown", examples=[20.75])
    verdict: str = Field(description="met, unmet or unknown", examples=["unmet"])
    margin: float | None = Field(description="past the threshold", examples=[-3.25])
    note: str = Field(description="why it is unknown", examples=[""])
    symbol: str = Field(examples=["✗"])
    figure: str = Field(description="what was observed", examples=["20.75 h"])
    shown: str = Field(description="the same, and how much it says", examples=["20.75 h"])
    needs: str = Field(examples=["> 24 h"])
    distance: str = Field(examples=["3.25 h short of it"])
    band: str = Field(
        description="where a PSI lies by its size alone: stable, minor or significant",
        examples=[""],
    )
    sentence: str = Field(examples=["cool-down 20.75 h (needs > 24 h)"])


class NodeAnswer(BaseModel):
    """One node of a policy's tree, in the words every page and report shows."""

    node: str = Field(examples=["when.3"])
    operator: str = Field(description="all or any", examples=["any"])
    of: list[str] = Field(description="the clauses and nodes it joins", examples=[["when.3.1"]])
    verdict: str = Field(description="met, unmet or unknown", examples=["unmet"])
    symbol: str = Field(examples=["✗"])
    joins: str = Field(examples=["feature drift or error ratio"])


class GateAnswer(BaseModel):
    """One gate, in the words every page and report shows."""

    name: str = Field(examples=["Deployment"])
    question: str = Field(examples=["Does the candidate beat the champion on the same rows?"])
    verdict: str = Field(description="passed, failed, not evaluated or waiting")
    symbol: str = Field(examples=["✓"])
    reason: str = Field(examples=["RMSE 0.1536 beats car-price/1's 0.2342, on 24 rows."])
    rows: int | None = Field(examples=[24])
    figures: dict[str, float] = Field(
        description="side -> RMSE, transformed scale", examples=[{"candidate": 0.1536}]
    )
    errors: str = Field(description="the figures", examples=["candidate 0.1536"])
    note: str = Field(description="what else was measured", examples=[""])


class DecisionAnswer(BaseModel):
    """One decision, why, and what came of it."""

    id: str = Field(examples=[examples.ID])
    position: int = Field(examples=[1397])
    model: str = Field(examples=["car-price"])
    cycle: str = Field(examples=["car-price-12"])
    outcome: str = Field(examples=["keep: rules not met"])
    headline: str = Field(
        description="what happened, and who serves", examples=["Kept: car-price/3 serves on."]
    )
    as_of: str = Field(examples=[examples.TIME])
    recorded_at: str = Field(examples=["2026-02-03T09:30:02.000000Z"])
    sentence: str = Field(examples=["KEEP: cool-down 20.8 h (needs > 24 h)"])
    occurred_at: str = Field(examples=[examples.TIME])
    clauses: list[ClauseAnswer] = Field(description="in the policy's order; none: undecided")
    nodes: list[NodeAnswer] = Field(description="how a tree joins them; none: all are needed")
    gates: list[GateAnswer] = Field(description="in their order; none: nothing was trained")
    error: str = Field(
        description="whether the champion's error has grown; empty: nothing was measured",
        examples=["residual evidence 3.4 days"],
    )
    conclusion: str | None = Field(description="how its cycle ended", examples=["rejected"])
    conclusion_reason: str = Field(description="why it ended early", examples=[""])
    candidate: str | None = Field(examples=["car-price/12"])
    champion_compared: str | None = Field(examples=["car-price/3"])
    champion: str | None = Field(description="who serves at its end", examples=["car-price/3"])
    aftermath: str = Field(
        description="what came of it",
        examples=["rejected. Candidate car-price/12 against champion car-price/3."],
    )
    set_aside_by: str | None = Field(
        description="the later cycle that set its cycle aside; null: it counts", examples=[None]
    )
    set_aside: str = Field(
        description="the same with the reason; empty: it counts",
        examples=[""],
    )
    earliest_retraining: str | None = Field(
        description="the end of its cool-down; null: it holds nobody back",
        examples=[examples.TIME],
    )
    decision: dict[str, Any] = Field(description="facts, clauses, trace: the event's data, whole")


class DecisionPage(BaseModel):
    """Decisions by position, oldest first; the `Link` header leads to the next page."""

    decisions: list[DecisionAnswer]


class ChangeAnswer(BaseModel):
    """One change: what happened, when, by whom and why."""

    position: int = Field(examples=[1399])
    id: str = Field(description="of its event", examples=[examples.ID])
    kind: str = Field(description=", ".join(get_args(Kind)), examples=["rolled back"])
    model: str | None = Field(description="null: a policy", examples=["car-price"])
    occurred_at: str = Field(examples=[examples.TIME])
    recorded_at: str = Field(examples=["2026-02-03T09:30:02.000000Z"])
    actor: str = Field(examples=["local:unauthenticated"])
    as_of: str | None = Field(description="of its cycle", examples=[None])
    outcome: str | None = Field(description="of a decision", examples=[None])
    cycle: str | None = Field(description="of which it is a step", examples=[None])
    model_version: str | None = Field(
        description="who was promoted, turned away, or serves again", examples=["car-price/1"]
    )
    digest: str | None = Field(
        description="of the contract, the policy, or that version's plan",
        examples=[examples.SHA256],
    )
    reason: str = Field(description="as recorded", examples=["customers complained"])
    body: dict[str, Any] = Field(description="the event's data, whole")
    sentence: str = Field(
        description="what happened; of a decision its verdict sentence",
        examples=["Rolled back from car-price/2 to car-price/1: customers complained."],
    )
    headline: str = Field(
        description="of a decision: what happened, and who serves; empty for any other change",
        examples=[""],
    )
    set_aside_by: str | None = Field(
        description="the later cycle that set its cycle aside; null: it counts", examples=[None]
    )
    set_aside: str = Field(
        description="the same with the reason; empty: it counts",
        examples=[""],
    )


class ChangePage(BaseModel):
    """Changes by position, oldest first; the `Link` header leads to the next page."""

    changes: list[ChangeAnswer]


@router.get(
    "/audit/changes",
    summary="List everything that changed what serves or how it is judged, oldest first",
    response_model=ChangePage,
    responses=refusals(404, 422, 503),
)
def list_all_changes(
    here: Here, request: Request, query: Annotated[ChangesQuery, Query()]
) -> Response:
    """Decisions, promotions, rejections, rollbacks, halts, failures, adoptions, erasures, cycles
    set aside."""
    limit = min(query.limit, here.settings.page_entries_max)
    with here.ledger.connect() as connection:
        check_model(connection, query.model)
        found = changes(connection, model=query.model, after=query.cursor, limit=limit)
    return page_of(request, "changes", found, limit, lambda change: change.position)


@router.get(
    "/audit/decisions",
    summary="List decisions, oldest first",
    response_model=DecisionPage,
    responses=refusals(404, 422, 503),
)
def list_all_decisions(
    here: Here, request: Request, query: Annotated[DecisionsQuery, Query()]
) -> Response:
    """Undecided ones included. The `Link` header leads to the next page."""
    limit = min(query.limit, here.settings.page_entries_max)
    check_outcome(query.outcome)
    with here.ledger.connect() as connection:
        check_model(connection, query.model)
        found = decisions(
            connection,
            model=query.model,
            outcome=query.outcome,
            since=query.since,
            until=query.until,
            after=query.cursor,
            limit=limit,
        )
    return page_of(request, "decisions", found, limit, lambda view: view.position)


@router.get(
    "/audit/decisions/{decision}",
    summary="Look at one decision: why, clause by clause, and what came of it",
    response_model=DecisionAnswer,
    responses=refusals(404, 422, 503),
)
def read_decision(here: Here, id: Annotated[str, Path(alias="decision")]) -> Decision:
    """Everything it stood on, as recorded, and in words."""
    if not _UUID.fullmatch(id.lower()):
        raise UnknownThing.decision(id)
    with here.ledger.connect() as connection:
        return decision(connection, id.lower())


@router.get(
    "/audit/export",
    summary="Take decisions and other changes home: JSON Lines, CSV or a printable report",
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
