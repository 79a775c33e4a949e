"""POST /contracts and POST /policies: documents come into force."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.http.bodies import content_type, read_body
from app.http.documentation import body_of, refusals
from app.http.queries import process_of, refuse_query
from app.http.request_identity import cause_of
from app.http.shapes import AdoptionAnswer
from app.intake.adoption import adopt_contract, adopt_policy

router = APIRouter(tags=["documents"])
TAKEN: Final = ("application/yaml", "application/x-yaml", "text/yaml", "application/json")
_CONTRACT: Final = "contract: whyledger.contract/1\nmodel: car-price\n# … as data/contracts/"
_POLICY: Final = "id: strict-and\nversion: 1\n# … as rules/policies/"


def _documented(example: str) -> dict[str, object]:
    return body_of(dict.fromkeys(TAKEN), {"shortened": example})


@router.post(
    "/contracts",
    status_code=201,
    summary="Hold a model's rows to a contract from here on",
    response_model=AdoptionAnswer,
    responses=refusals(409, 413, 415, 422, 503)
    | {200: {"model": AdoptionAnswer, "description": "it was in force already"}},
    openapi_extra=_documented(_CONTRACT),
)
async def create_contract(request: Request, response: Response) -> AdoptionAnswer:
    """YAML or JSON. A wrong contract is refused with every fault at once."""
    process = process_of(request)
    refuse_query(request)
    content_type(request, TAKEN)
    text = await read_body(request, process.settings.body_bytes_max)
    recorded, event, new = await run_in_threadpool(
        adopt_contract, process.ledger, text, cause_of(request)
    )
    if new:
        await run_in_threadpool(process.champions.refresh)
    response.status_code = 201 if new else 200
    return AdoptionAnswer(
        name=event.model, digest=event.contract_digest, position=recorded.position
    )


@router.post(
    "/policies",
    status_code=201,
    summary="Judge cycles by a policy from here on",
    response_model=AdoptionAnswer,
    responses=refusals(409, 413, 415, 422, 503)
    | {200: {"model": AdoptionAnswer, "description": "it was in force already"}},
    openapi_extra=_documented(_POLICY),
)
async def create_policy(request: Request, response: Response) -> AdoptionAnswer:
    """YAML or JSON. One version of a policy is one document for ever."""
    process = process_of(request)
    refuse_query(request)
    content_type(request, TAKEN)
    text = await read_body(request, process.settings.body_bytes_max)
    recorded, event, new = await run_in_threadpool(
        adopt_policy, process.ledger, text, cause_of(request)
    )
    response.status_code = 201 if new else 200
    return AdoptionAnswer(name=event.policy, digest=event.policy_digest, position=recorded.position)
