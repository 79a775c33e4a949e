"""POST /models/{model}/datasets: a CSV of labelled rows comes in, streamed."""

from __future__ import annotations

import hashlib
from typing import IO, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from app.http.bodies import BodyTooLarge, content_type
from app.http.documentation import body_of, refusals
from app.http.queries import process_of, refuse_query
from app.http.request_identity import cause_of
from app.http.shapes import DatasetAnswer, IntakeFault
from app.intake.datasets import Upload

router = APIRouter(tags=["events"])
_EXAMPLE: Final = (
    "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    "1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802\n"
)


@router.post(
    "/models/{model}/datasets",
    summary="Upload labelled rows as CSV",
    responses=refusals(404, 413, 415, 422, 503),
    openapi_extra=body_of({"text/csv": None}, {"one row": _EXAMPLE}),
)
async def create_dataset(request: Request, model: str) -> DatasetAnswer:
    """Good rows become observations; bad ones go to a quarantine file with line and reason.

    UTF-8, a header with the contract's columns, the target among them. The same file sent again
    records nothing twice.
    """
    process = process_of(request)
    refuse_query(request)
    content_type(request, ("text/csv",))
    serving = process.champions.of(model)
    with process.datasets.new_file() as file:
        sha256 = await _receive(request, file, process.settings.dataset_bytes_max)
        intake, position = await run_in_threadpool(
            process.datasets.take_in,
            serving,
            Upload(file, sha256),
            cause=cause_of(request),
        )
    return DatasetAnswer(
        model=model,
        dataset_sha256=sha256,
        accepted=intake.accepted,
        already_known=intake.already_known,
        quarantined=intake.quarantined,
        quarantine_file=intake.quarantine_file,
        faults=[IntakeFault(path=f.path, message=f.message) for f in intake.faults],
        position=position,
    )


async def _receive(request: Request, file: IO[bytes], bytes_max: int) -> str:
    """Write the body to `file`, chunk by chunk; its SHA-256.

    Raises:
        BodyTooLarge: more than `bytes_max` bytes; nothing was kept.
    """
    sha256, size = hashlib.sha256(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise BodyTooLarge(f"the CSV has more than {bytes_max} bytes; send it in parts.")
        sha256.update(chunk)
        await run_in_threadpool(file.write, chunk)
    return sha256.hexdigest()
