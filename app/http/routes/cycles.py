"""The retraining cycles of a model: start one, look at one, list them."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.clock import monotonic_seconds
from app.http.bodies import JSON, content_type, parse_as, parse_json, read_body
from app.http.documentation import body_of, refusals
from app.http.queries import (
    Here,
    Limit,
    known_query_only,
    process_of,
    refuse_query,
    time_or_none,
)
from app.http.request_identity import cause_of
from app.http.shapes import CycleAnswer, CyclePage, CycleRequest
from app.process import Process
from app.projections.cycles import CycleView, get_cycle, list_cycles
from domain.canonical import INTEGER_MAX
from domain.errors import UnknownThing

router = APIRouter(tags=["cycles"])
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*([0-9]{1,9})(?:$|[,;\s])", re.IGNORECASE)
_LOOK_SECONDS: Final = 0.1  # between looks whether the cycle has ended


@router.post(
    "/models/{model}/cycles",
    status_code=202,
    summary="Start a retraining cycle, or resume the one that was cut off",
    response_model=CycleAnswer,
    responses=refusals(404, 409, 413, 415, 422, 503)
    | {200: {"model": CycleAnswer, "description": "it ended while you waited"}},
    openapi_extra=body_of(
        {JSON[0]: (CycleRequest,)},
        {
            "as of a day": {"as_of": "1977-01-01T00:00:00Z"},
            "forced": {"force": {"reason": "new supplier since March"}},
        },
        required=False,
    ),
)
async def create_cycle(
    request: Request,
    response: Response,
    model: str,
    prefer: Annotated[
        str | None, Header(description="`wait=N`: answer when it has ended, N <= 60 seconds")
    ] = None,
) -> CycleAnswer:
    """202 with the cycle's URL in `Location`; 409 with it while another one runs."""
    process = process_of(request)
    refuse_query(request)
    body = await read_body(request, process.settings.body_bytes_max)
    asked = CycleRequest()
    if body:
        content_type(request, JSON)
        asked = parse_as(CycleRequest, parse_json(body))
    process.champions.of(model)
    ticket = await run_in_threadpool(
        process.cycles.start,
        model,
        as_of=time_or_none(asked.as_of),
        force_reason=asked.force.reason if asked.force else None,
        cause=cause_of(request),
    )
    wait = _seconds_to_wait(prefer, process.settings.cycle_wait_seconds_max)
    view = await _wait(process, ticket.cycle, wait)
    answer = _answer(view)
    response.headers["Location"] = answer.url
    if wait is not None:
        response.headers["Preference-Applied"] = f"wait={wait}"
    if wait is not None and view.status == "ended":
        response.status_code = 200
        await run_in_threadpool(process.champions.refresh)  # who was promoted answers from now on
    else:
        response.headers["Retry-After"] = str(process.settings.retry_after_seconds)
    return answer


@router.get(
    "/models/{model}/cycles",
    summary="List a model's cycles, newest first",
    dependencies=[Depends(known_query_only)],
    responses=refusals(404, 422, 503),
)
def list_model_cycles(
    here: Here,
    response: Response,
    model: str,
    before: Annotated[
        int | None, Query(ge=1, le=INTEGER_MAX, description="cycles with a smaller number")
    ] = None,
    limit: Limit = 100,
) -> CyclePage:
    """The `Link` header leads to older ones."""
    here.champions.of(model)
    limit = min(limit, here.settings.page_entries_max)
    with here.ledger.connect() as connection:
        found = list_cycles(connection, model, before_number=before, limit=limit)
    if len(found) == limit:
        older = f"/models/{model}/cycles?before={found[-1].number}&limit={limit}"
        response.headers["Link"] = f'<{older}>; rel="next"'
    return CyclePage(cycles=[_answer(view) for view in found])


@router.get(
    "/models/{model}/cycles/{cycle}",
    summary="Look at one cycle: what every step of it left",
    dependencies=[Depends(known_query_only)],
    responses=refusals(404, 422, 503),
)
def read_cycle(here: Here, model: str, cycle: str) -> CycleAnswer:
    """Refusals are steps too: a kept, halted or rejected cycle says why."""
    here.champions.of(model)
    if not re.fullmatch(rf"{re.escape(model)}-[1-9][0-9]{{0,15}}", cycle):
        raise UnknownThing(
            f"{model!r} has no cycle {cycle[:100]!r}. List them: GET /models/{model}/cycles."
        )
    with here.ledger.connect() as connection:
        return _answer(get_cycle(connection, cycle))


async def _wait(process: Process, cycle: str, seconds: int | None) -> CycleView:
    """The cycle, once it has ended or the time is over. Holds no thread while it waits."""
    until = monotonic_seconds() + (seconds or 0)
    while True:
        view = await run_in_threadpool(process.cycles.view, cycle)
        if view.status == "ended" or monotonic_seconds() >= until:
            return view
        await asyncio.sleep(_LOOK_SECONDS)


def _seconds_to_wait(prefer: str | None, most: int) -> int | None:
    """The seconds that RFC 7240's `Prefer: wait=N` asks for, at most `most`; None without it."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), most) if found else None


def _answer(view: CycleView) -> CycleAnswer:
    decided = view.state.get("cycle.decided") or view.state.get("cycle.not-decided") or {}
    return CycleAnswer(
        cycle=view.cycle,
        model=view.model,
        number=view.number,
        url=f"/models/{view.model}/cycles/{view.cycle}",
        as_of=view.as_of,
        status=view.status,
        outcome=view.outcome,
        conclusion=view.conclusion,
        sentence=decided.get("sentence"),
        attempts=view.attempts,
        started_at=view.started_at,
        started_position=view.started_position,
        ended_at=view.ended_at,
        ended_position=view.ended_position,
        steps=view.state,
    )
