"""POST /predictions: the hot path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import count, repeat
from typing import Any, Final

import msgspec
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, JsonValue
from starlette.concurrency import run_in_threadpool

from app.cause import Cause
from app.http import examples
from app.http.bodies import INLINE_BYTES_MAX, JSON, alone, parsed
from app.http.declared_body import DeclaredBody
from app.http.dependencies import cause_of, process_of
from app.http.documentation import refusals
from app.http.prefer import PREFER_RECEIPT, RECEIPT, receipts_of, wants_receipts
from app.http.request_shapes import Sent
from app.http.strict_route import StrictRoute
from app.intake.names_sent import too_many_names_of_rows
from app.intake.predictions import Made, MadeTogether
from app.ledger.new_events import NewPredictions
from app.process import Process
from domain.errors import RequestInvalid
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade
from domain.events.expansion import expand
from domain.events.unreadable import instead_of

router = APIRouter(tags=["predictions"], route_class=StrictRoute)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "covers all rows: the same key and body get the first answer again",
}


# What the document declares. `Predictions` reads by hand, for speed and for its own words; a test
# holds it to exactly these shapes.
class PredictionOfRow(Sent):
    """One row to predict."""

    model: str = Field(examples=["car-price"])
    row: dict[str, JsonValue] = Field(
        description="the contract's columns without the target", examples=[examples.ROW]
    )


class PredictionOfRows(Sent):
    """Many rows to predict, all or none."""

    model: str = Field(examples=["car-price"])
    rows: list[dict[str, JsonValue]] = Field(min_length=1, examples=[[examples.ROW]])


class PredictionAnswer(BaseModel):
    """One row's prediction, as recorded."""

    prediction: float = Field(
        description="target's unit; for a log target a median, not a mean", examples=[5.37]
    )
    prediction_id: str = Field(
        description="name it when the label is known", examples=[examples.ID]
    )
    identity: str = Field(description="the row's identity", examples=["year=1976|car_id=129"])
    position: int = Field(description="of its entry in the ledger", examples=[812])
    row: int = Field(description="of that entry, from 0: the rows of a request share one")
    unknown_categories: list[str] = Field(
        description="features whose category the model never saw", examples=[[]]
    )
    receipt: dict[str, Any] | None = RECEIPT


class PredictionsAnswer(BaseModel):
    """Who answered, and the answers in the order of the rows; committed before they are sent."""

    model: str = Field(examples=["car-price"])
    model_version: str = Field(examples=["car-price/3"])
    plan_digest: str = Field(description="SHA-256 of the serving plan", examples=[examples.SHA256])
    request_id: str | None = Field(description="the first request's X-Request-Id", examples=[None])
    predictions: list[PredictionAnswer]


ROWS: Final = DeclaredBody(
    {
        JSON[0]: (
            PredictionOfRow | PredictionOfRows,
            {
                "one row": {"model": "car-price", "row": examples.ROW},
                "many rows": {"model": "car-price", "rows": [examples.ROW]},
            },
        )
    }
)


@router.post(
    "/predictions",
    summary="Predict one or many rows",
    response_model=PredictionsAnswer,
    responses=refusals(404, 409, 413, 415, 422, 503),
    openapi_extra={**ROWS.documented(), "parameters": [_KEY_HEADER, PREFER_RECEIPT]},
)
async def create_predictions(request: Request) -> Response:
    """Every prediction is committed to the ledger before the answer leaves. All rows or none."""
    process = process_of(request)
    _, body = await ROWS.read(request, process.settings.body_bytes_max)
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise RequestInvalid(
            "Idempotency-Key is not 1 to 255 printable ASCII characters without blanks; "
            "send a UUID, for one."
        )
    cause, receipts = cause_of(request), wants_receipts(request)
    # Of a request with a key the digest is needed, and so all of it.
    refused = partial(too_many_names_of_rows, rows_max=process.settings.rows_per_request_max)
    quickly = None if key else process.predictions.read
    asked = await parsed(request, body, refused, quickly)
    if receipts or len(body) > INLINE_BYTES_MAX:
        content = await run_in_threadpool(_answer_many, process, asked, key, cause, receipts)
    else:
        made = await process.predictions.make_soon(
            asked, idempotency_key=key, cause=cause, alone=partial(alone, request)
        )
        content = _answer(made)
    return Response(content, media_type="application/json")


def _answer_many(
    process: Process, asked: object, key: str | None, cause: Cause, receipts: bool
) -> bytes:
    made = process.predictions.make(asked, idempotency_key=key, cause=cause)
    if not receipts:
        return _answer(made)
    recorded = [*expand(made.entry)] if isinstance(made, MadeTogether) else made
    return _answer(recorded, receipts_of(process, recorded))


def _answer(made: Made, receipts: Sequence[dict[str, Any] | None] = ()) -> bytes:
    """The answer, made of what was recorded alone; with receipts where they were asked for.

    Field by field, for speed: every prediction comes out here. A test holds it to what is declared.
    """
    if isinstance(made, MadeTogether):
        return _answer_together(made.entry, made.rows)
    proofs = [{"receipt": receipt} for receipt in receipts] or [{}] * len(made)
    first = _made(made[0])
    return orjson.dumps(
        {
            "model": first.model,
            "model_version": first.model_version,
            "plan_digest": first.plan_sha256,
            "request_id": first.request_id,
            "predictions": [
                {
                    "prediction": each.prediction,
                    "prediction_id": entry.id,
                    "identity": each.identity,
                    "position": entry.position,
                    "row": entry.row,
                    "unknown_categories": each.unknown_categories,
                    **proof,
                }
                for entry, each, proof in (
                    (entry, _made(entry), proof) for entry, proof in zip(made, proofs, strict=True)
                )
            ],
        }
    )


class _Predicted(msgspec.Struct, gc=False):
    """As `PredictionAnswer`: made and written by the thousand in half the time of a dict."""

    prediction: float
    prediction_id: str
    identity: str
    position: int
    row: int
    unknown_categories: Sequence[str]


def _answer_together(entry: Recorded, made: NewPredictions) -> bytes:
    answers = (made.predictions, made.ids, made.identities, repeat(entry.position), count())
    predictions = [*map(_Predicted, *answers, made.unknown_categories)]
    return msgspec.json.encode(
        {
            "model": made.model,
            "model_version": made.model_version,
            "plan_digest": made.plan_sha256,
            "request_id": made.request_id,
            "predictions": predictions,
        }
    )


def _made(entry: Recorded) -> PredictionMade:
    if not isinstance(entry.event, PredictionMade):
        raise instead_of(entry.position, entry.event, PredictionMade.type)
    return entry.event
