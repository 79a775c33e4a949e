"""POST /events: observations and outcomes come in. GET /events: all goes out, by position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, Field
from starlette.concurrency import run_in_threadpool

from app.http import examples
from app.http.binary_mode import binary_attributes, binary_event
from app.http.bodies import parsed
from app.http.declared_body import DeclaredBody
from app.http.dependencies import Here, cause_of, process_of
from app.http.documentation import refusals
from app.http.paging import PageQuery, link_next
from app.http.prefer import PREFER_RECEIPT, RECEIPT, receipts_of, wants_receipts
from app.http.strict_route import StrictRoute
from app.intake.cloud_events import OBSERVATION, OUTCOME, CloudEvent
from app.intake.names_sent import too_many_names_of_events
from app.intake.observations import Taken, TakenTogether
from app.ledger.new_events import NewOutcomes
from domain.errors import RequestInvalid
from domain.events.cloud_event import cloud_event, sequence_of
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded
from domain.events.expansion import expand
from domain.events.unreadable import instead_of

router = APIRouter(tags=["events"], route_class=StrictRoute)
_SEQUENCE: Final = r"^(-1|[0-9]{1,16}(\.[0-9]{5})?)$"
SINGLE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
EITHER: Final = "application/json"
_OBSERVATION: Final = {
    "specversion": "1.0",
    "id": "129",
    "source": "/cars/1971",
    "type": OBSERVATION,
    "data": {"model": "car-price", "row": {**examples.ROW, "price": 4.94}},
}
_OUTCOME: Final = {
    "specversion": "1.0",
    "id": "129",
    "source": "/prices/1976",
    "type": OUTCOME,
    "data": {"model": "car-price", "identity": {"year": 1976, "car_id": 129}, "label": 5.1},
}
_BY_ID: Final = {
    **_OUTCOME,
    "id": "130",
    "data": {
        "model": "car-price",
        "prediction_id": examples.ID,
        "label": 5.1,
    },
}
_ONE: Final = {
    "an observation": _OBSERVATION,
    "an outcome, by the row's identity": _OUTCOME,
    "an outcome, by prediction id": _BY_ID,
}
_MANY: Final = {"a batch": [_OBSERVATION, _OUTCOME]}
Batch = Annotated[list[CloudEvent], Field(min_length=1)]
EVENTS: Final = DeclaredBody(
    {
        SINGLE: (CloudEvent, _ONE),
        BATCH: (Batch, _MANY),
        EITHER: (CloudEvent | Batch, {**_ONE, **_MANY}),
    }
)


class RecordedEvent(BaseModel):
    """Where an event the client sent stands in the ledger."""

    source: str = Field(examples=["/cars/1976"])
    source_id: str = Field(description="the id it has there", examples=["129"])
    id: str = Field(description="UUIDv5 of both", examples=[examples.ID])
    position: int = Field(description="of its entry in the ledger", examples=[813])
    row: int = Field(description="of that entry, from 0: rows sent together may share one")
    recorded_at: str = Field(examples=["2026-02-03T09:30:00.000000Z"])
    receipt: dict[str, Any] | None = RECEIPT


class EventsAnswer(BaseModel):
    """The events, in the order they were sent."""

    recorded: list[RecordedEvent]
    passed_over: dict[str, int] = Field(
        description="of what another instance emitted: events that are its own history, by kind",
        examples=[{}],
    )


def _in_digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(_SEQUENCE, value):
        raise ValueError(
            "should be a whole number in digits, or the sequence of a row such as 812.00417"
        )
    return value


class EventsQuery(PageQuery):
    """Which page of the ledger."""

    cursor: Annotated[str, BeforeValidator(_in_digits)] = Field(
        default="-1", pattern=_SEQUENCE, description="events behind this `sequence`"
    )
    whole: bool = Field(
        default=False, description="one event an entry, with its hashed data, however many rows"
    )


@router.post(
    "/events",
    status_code=201,
    summary="Record observations and outcomes",
    response_model=EventsAnswer,
    responses=refusals(404, 409, 413, 415, 422, 503),
    openapi_extra={**EVENTS.documented(), "parameters": [PREFER_RECEIPT]},
)
async def create_events(request: Request) -> Response:
    """CloudEvents 1.0, one or a batch; (source, id) is the idempotency. All of a batch or none.

    `org.whyledger.observation.v1` carries a labelled row, `org.whyledger.outcome.v1` the label of a
    prediction, named by its id or by the row's identity. `application/json` takes either shape, and
    in binary mode the `data` of one event, whose attributes are `ce-` headers.

    What `GET /events` of another instance emits is taken, too: labelled rows and labels under the
    source and id they had there; the rest is that instance's history, passed over and counted.
    """
    process = process_of(request)
    kind, body = await EVENTS.read(request, process.settings.body_bytes_max)
    most = process.settings.rows_per_request_max
    attributes = binary_attributes(request.headers) if kind == EITHER else None
    events: list[object]
    sent = await parsed(request, body, partial(too_many_names_of_events, events_max=most))
    if attributes is not None:
        events, batch = [binary_event(attributes, sent, body)], False
    else:
        events, batch = _sent(kind, sent, most)
    taken = await process.observations.record_soon(events, batch=batch, cause=cause_of(request))
    receipts: Sequence[dict[str, Any] | None] = ()
    if wants_receipts(request):
        if isinstance(taken, TakenTogether):
            taken = Taken([*expand(taken.entry)], {})
        receipts = await run_in_threadpool(receipts_of, process, taken.recorded)
    return Response(_answer(taken, receipts), 201, media_type="application/json")


@router.get(
    "/events",
    summary="Read the ledger by position, as CloudEvents",
    responses=refusals(422, 503)
    | {200: {"content": {BATCH: {"example": [_OBSERVATION]}}, "description": "by position"}},
    response_class=Response,
)
def list_events(here: Here, request: Request, query: Annotated[EventsQuery, Query()]) -> Response:
    """Events in their order, without gaps; the `Link` header leads to those that follow.

    Of an entry of many rows each row is an event of its own, `sequence` 812.00417 is row 417.
    """
    limit = min(query.limit, here.settings.page_entries_max)
    position, _, row = query.cursor.partition(".")
    if query.whole:
        entries = here.ledger.read(int(position), limit)
    else:
        entries = here.ledger.read_rows(int(position), int(row) if row else None, limit)
    content = orjson.dumps([cloud_event(entry, here.ledger_id) for entry in entries])
    response = Response(content, media_type=BATCH)
    link_next(request, response, entries, limit, sequence_of)
    return response


def _answer(taken: Taken | TakenTogether, receipts: Sequence[dict[str, Any] | None]) -> bytes:
    """What `EventsAnswer` declares, field by field, for speed; a test holds it to that."""
    if isinstance(taken, TakenTogether):
        return _answer_together(taken.entry, taken.rows)
    proofs = [{"receipt": receipt} for receipt in receipts] or [{}] * len(taken.recorded)
    recorded = [
        {
            "source": sent.source,
            "source_id": sent.source_id,
            "id": entry.id,
            "position": entry.position,
            "row": entry.row,
            "recorded_at": entry.recorded_at,
            **proof,
        }
        for entry, sent, proof in (
            (entry, _as_sent(entry), proof)
            for entry, proof in zip(taken.recorded, proofs, strict=True)
        )
    ]
    return orjson.dumps({"recorded": recorded, "passed_over": taken.passed_over})


def _answer_together(entry: Recorded, rows: NewOutcomes) -> bytes:
    recorded = [
        {
            "source": rows.source,
            "source_id": source_id,
            "id": id,
            "position": entry.position,
            "row": row,
            "recorded_at": entry.recorded_at,
        }
        for row, (source_id, id) in enumerate(zip(rows.source_ids, rows.ids, strict=True))
    ]
    return orjson.dumps({"recorded": recorded, "passed_over": {}})


def _as_sent(entry: Recorded) -> ObservationRecorded | OutcomeRecorded:
    if not isinstance(entry.event, ObservationRecorded | OutcomeRecorded):
        raise instead_of(entry.position, entry.event, ObservationRecorded.type)
    return entry.event


def _sent(kind: str, sent: object, events_max: int) -> tuple[list[object], bool]:
    """The events in a body, and whether they came as a batch."""
    batch = isinstance(sent, list)
    if kind != EITHER and batch != (kind == BATCH):
        raise RequestInvalid(
            f"{kind} carries {'a list of events' if kind == BATCH else 'one event'}, and the body "
            f"is {'a list' if batch else 'none'}. Change the one or the other."
        )
    events = sent if isinstance(sent, list) else [sent]
    if not 1 <= len(events) <= events_max:
        raise RequestInvalid(
            f"the batch has {len(events)} events; send 1 to {events_max} in one request."
        )
    return events, batch
