"""/models/{model}/datasets: a CSV of labelled rows comes in, streamed; what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import IO, Annotated, Final

from anyio import Semaphore, move_on_after, to_thread
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.http import examples
from app.http.bodies import read_chunks, wait_as_refused
from app.http.declared_body import DeclaredBody
from app.http.dependencies import Here, RequestCause
from app.http.documentation import FaultBody, refusals
from app.http.strict_route import StrictRoute
from app.intake.datasets import Upload
from app.intake.intake import Intake
from domain.errors import DocumentInvalid, LedgerBusy

# Files of a process that are read at a time; one more than one, so that a long one lets others by.
UPLOADS_AT_ONCE: Final = 2
router = APIRouter(tags=["events"], route_class=StrictRoute)
_ROW: Final = (
    "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    "1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802\n"
)
CSV: Final = DeclaredBody({"text/csv": (str, {"one row": _ROW})})


class DatasetAnswer(BaseModel):
    """What became of a CSV."""

    model: str = Field(examples=["car-price"])
    dataset_sha256: str = Field(description="of the bytes as received", examples=[examples.SHA256])
    lines: int = Field(
        description="that hold anything, below the header: accepted, known and quarantined ones",
        examples=[465],
    )
    accepted: int = Field(description="rows recorded as observations", examples=[463])
    already_known: int = Field(description="rows that stood so before", examples=[0])
    quarantined: int = Field(description="rows refused", examples=[2])
    corrections: int = Field(
        description="of the accepted, rows that say something else of a row labelled before",
        examples=[0],
    )
    repeated_keys: int = Field(
        description="lines whose row an earlier line of the file names; the last of them holds",
        examples=[0],
    )
    labelled_predictions: int = Field(
        description="of the accepted, rows the model had predicted: now those predictions are "
        "labelled",
        examples=[120],
    )
    quarantine_file: str | None = Field(
        description="in the state directory's quarantine/: every bad row with line and reason",
        examples=["car-price-9f2c41aa9f2c41aa.jsonl"],
    )
    faults: list[FaultBody] = Field(
        description="the first 20 reasons",
        examples=[
            [{"path": "/line/17", "message": "price is -1.0; the contract allows 0.5 to 500"}]
        ],
    )
    reasons: dict[str, int] = Field(
        description="how many rows were refused for what", examples=[{"price: out of range": 2}]
    )
    position: int | None = Field(
        description="of the event that closes the upload; null: nothing new", examples=[1390]
    )
    finished: bool = Field(
        description="whether the file was read to its end; false: as far as it has come",
        examples=[True],
    )
    next_cycle: str = Field(
        description="what the next cycle would do",
        examples=["the next cycle would train car-price for the first time, on the rows before …"],
    )


@router.post(
    "/models/{model}/datasets",
    summary="Upload labelled rows as CSV",
    response_model=DatasetAnswer,
    responses=refusals(404, 413, 415, 422, 503),
    openapi_extra=CSV.documented(),
)
async def create_dataset(here: Here, cause: RequestCause, request: Request, model: str) -> Intake:
    """Good rows become observations; bad ones go to a quarantine file with line and reason.

    UTF-8, a header with the contract's columns, the target among them. The same file sent again
    records nothing twice.
    """
    CSV.content_type(request)
    serving = here.champions.of(model)
    with here.datasets.new_file() as file:
        sha256 = await _receive(request, file, here.settings.dataset_bytes_max)
        # Reading takes as long as the file is: it has threads of its own, and no other route waits.
        seconds = here.settings.busy_timeout_seconds
        try:
            async with _turn(request.app.state.uploads, seconds):
                return await to_thread.run_sync(
                    partial(here.datasets.take_in, serving, Upload(file, sha256), cause=cause),
                    limiter=request.app.state.taking_in,
                )
        except DocumentInvalid:
            await wait_as_refused(request)
            raise


@router.get(
    "/models/{model}/datasets/{sha256}",
    summary="Look what became of an uploaded CSV",
    response_model=DatasetAnswer,
    responses=refusals(404, 422, 503),
)
def read_dataset(
    here: Here, model: str, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Intake:
    """What its upload answered, for who did not wait; while it is read, how far it has come."""
    here.champions.of(model)
    return here.datasets.look(model, sha256)


@asynccontextmanager
async def _turn(turns: Semaphore, seconds: float) -> AsyncIterator[None]:
    with move_on_after(seconds) as waiting:
        await turns.acquire()
    if waiting.cancelled_caught:
        raise LedgerBusy(
            f"{UPLOADS_AT_ONCE} other files were being taken in for {seconds:g} s; nothing was "
            "kept. Send it again when they are done."
        )
    try:
        yield
    finally:
        turns.release()


async def _receive(request: Request, file: IO[bytes], bytes_max: int) -> str:
    """Write the body to `file`, chunk by chunk; its SHA-256. Raises BodyTooLarge."""
    sha256 = hashlib.sha256()
    async for chunk in read_chunks(request, bytes_max):
        sha256.update(chunk)
        await run_in_threadpool(file.write, chunk)
    return sha256.hexdigest()
