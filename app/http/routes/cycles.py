"""The retraining cycles of a model: start one, look at one, list them."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, computed_field
from starlette.concurrency import run_in_threadpool

from app.audit.cycle import cycle_told
from app.clock import monotonic_seconds
from app.http import examples
from app.http.dependencies import Here, RequestCause
from app.http.documentation import refusals
from app.http.paging import PageQuery, link_next
from app.http.prefer import seconds_to_wait
from app.http.problems import cycle_path
from app.http.request_shapes import Reason, Sent, Time, Whole
from app.http.strict_route import StrictRoute
from app.process import Process
from app.projections.cycles import CycleView, get_cycle, list_cycles
from domain.canonical import INTEGER_MAX
from domain.errors import UnknownThing

router = APIRouter(tags=["cycles"], route_class=StrictRoute)
_LOOK_SECONDS: Final = 0.1  # between looks whether the cycle has ended


class ForceRequest(Sent):
    """Retrain whatever the policy says."""

    reason: Reason = Field(examples=["new supplier since March"])


class CycleRequest(Sent):
    """How a cycle shall run."""

    as_of: Time | None = Field(
        default=None,
        description="RFC 3339; rows that happened before it are looked at; default now, or for a "
        "model without a cycle whose rows are older than its drift window just after the newest",
        examples=["1977-01-01T00:00:00Z"],
    )
    reason: Reason | None = Field(
        default=None,
        description="why cycles that looked back from a later time than as_of are set aside",
        examples=["the first cycle was asked for without as_of"],
    )
    force: ForceRequest | None = None


_AS_USUAL: Final = CycleRequest()


class CyclesQuery(PageQuery):
    """Which page of a model's cycles."""

    cursor: Whole | None = Field(
        default=None, ge=1, le=INTEGER_MAX, description="cycles with a smaller number"
    )


class CycleAnswer(BaseModel):
    """A retraining cycle."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    cycle: str = Field(examples=["car-price-12"])
    model: str = Field(examples=["car-price"])
    number: int = Field(examples=[12])
    as_of: str = Field(examples=[examples.TIME])
    status: str = Field(description="open or ended", examples=["ended"])
    outcome: str | None = Field(description="of the decision", examples=["retrain"])
    conclusion: str | None = Field(description="how it ended", examples=["promoted"])
    attempts: int = Field(examples=[1])
    started_at: str = Field(examples=["2026-02-03T09:30:00.000000Z"])
    started_position: int = Field(examples=[1391])
    ended_at: str | None = Field(examples=["2026-02-03T09:30:04.100000Z"])
    ended_position: int | None = Field(examples=[1402])
    set_aside_by: str | None = Field(
        description="the later cycle that set it aside; null: it counts", examples=[None]
    )
    set_aside_reason: str | None = Field(description="why", examples=[None])
    steps: dict[str, Any] = Field(
        validation_alias="state", description="event type -> its data, refusals included"
    )

    @computed_field(examples=["KEEP: cool-down 20.8 h (needs > 24 h)"])  # type: ignore[prop-decorator]
    @property
    def sentence(self) -> str:
        """The verdict sentence; what stopped the cycle when it came to none."""
        return cycle_told(self.steps).sentence

    @computed_field(examples=["Kept: car-price/3 serves on."])  # type: ignore[prop-decorator]
    @property
    def headline(self) -> str:
        """What happened, who serves, and by whom it was set aside."""
        return cycle_told(
            self.steps, set_aside_by=self.set_aside_by, set_aside_reason=self.set_aside_reason
        ).headline

    @computed_field(examples=["/models/car-price/cycles/car-price-12"])  # type: ignore[prop-decorator]
    @property
    def url(self) -> str:
        """Where it is looked at."""
        return cycle_path(self.cycle)


class CyclePage(BaseModel):
    """Cycles of one model, newest first; the `Link` header leads to older ones."""

    cycles: list[CycleAnswer]


@router.post(
    "/models/{model}/cycles",
    status_code=202,
    summary="Start a retraining cycle, or resume the one that was cut off",
    response_model=CycleAnswer,
    responses=refusals(404, 409, 413, 415, 422, 503)
    | {200: {"model": CycleAnswer, "description": "it ended while you waited"}},
)
async def create_cycle(
    here: Here,
    cause: RequestCause,
    response: Response,
    model: str,
    asked: Annotated[
        CycleRequest,
        Body(
            openapi_examples={
                "as of a day": {"value": {"as_of": "1977-01-01T00:00:00Z"}},
                "forced": {"value": {"force": {"reason": "new supplier since March"}}},
            }
        ),
    ] = _AS_USUAL,
    prefer: Annotated[
        str | None, Header(description="`wait=N`: answer when it has ended, N <= 60 seconds")
    ] = None,
) -> CycleView:
    """202 with the cycle's URL in `Location`; 409 with it while another one runs."""
    here.champions.of(model)
    ticket = await run_in_threadpool(
        here.cycles.start,
        model,
        as_of=asked.as_of,
        force_reason=asked.force.reason if asked.force else None,
        reason=asked.reason,
        cause=cause,
    )
    wait = seconds_to_wait(prefer, here.settings.cycle_wait_seconds_max)
    view = await _wait(here, ticket.cycle, wait)
    response.headers["Location"] = cycle_path(view.cycle)
    if wait is not None:
        response.headers["Preference-Applied"] = f"wait={wait}"
    if wait is not None and view.status == "ended":
        response.status_code = 200
        await run_in_threadpool(here.champions.refresh)  # who was promoted answers from now on
    else:
        response.headers["Retry-After"] = str(here.settings.retry_after_seconds)
    return view


@router.get(
    "/models/{model}/cycles",
    summary="List a model's cycles, newest first",
    response_model=CyclePage,
    responses=refusals(404, 422, 503),
)
def list_model_cycles(
    here: Here,
    request: Request,
    response: Response,
    model: str,
    query: Annotated[CyclesQuery, Query()],
) -> dict[str, list[CycleView]]:
    """The `Link` header leads to older ones."""
    here.champions.of(model)
    limit = min(query.limit, here.settings.page_entries_max)
    with here.ledger.connect() as connection:
        found = list_cycles(connection, model, before_number=query.cursor, limit=limit)
    link_next(request, response, found, limit, lambda view: view.number)
    return {"cycles": found}


@router.get(
    "/models/{model}/cycles/{cycle}",
    summary="Look at one cycle: what every step of it left",
    response_model=CycleAnswer,
    responses=refusals(404, 422, 503),
)
def read_cycle(here: Here, model: str, cycle: str) -> CycleView:
    """Refusals are steps too: a kept, halted or rejected cycle says why."""
    here.champions.of(model)
    if not re.fullmatch(rf"{re.escape(model)}-[1-9][0-9]{{0,15}}", cycle):
        raise UnknownThing.cycle(cycle)
    with here.ledger.connect() as connection:
        return get_cycle(connection, cycle)


async def _wait(here: Process, cycle: str, seconds: int | None) -> CycleView:
    """The cycle, once it has ended or the time is over. Holds no thread while it waits."""
    until = monotonic_seconds() + (seconds or 0)
    while True:
        view = await run_in_threadpool(here.cycles.view, cycle)
        if view.status == "ended" or monotonic_seconds() >= until:
            return view
        await asyncio.sleep(_LOOK_SECONDS)
