"""POST /contracts and POST /policies: documents come into force."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic import AliasChoices, AliasPath, BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.http import examples
from app.http.bodies import alone
from app.http.declared_body import DeclaredBody
from app.http.dependencies import Here, RequestCause
from app.http.documentation import refusals
from app.http.strict_route import StrictRoute
from app.intake.adoption import adopt_contract, adopt_policy
from domain.events.envelope import Recorded

router = APIRouter(tags=["documents"], route_class=StrictRoute)
_TAKEN: Final = ("application/yaml", "application/x-yaml", "text/yaml", "application/json")
_CONTRACT: Final = "contract: whyledger.contract/1\nmodel: car-price\n# … as data/contracts/"
_POLICY: Final = "id: strict-and\nversion: 1\n# … as rules/policies/"
CONTRACT: Final = DeclaredBody(dict.fromkeys(_TAKEN, (str, {"shortened": _CONTRACT})))
POLICY: Final = DeclaredBody(dict.fromkeys(_TAKEN, (str, {"shortened": _POLICY})))


class AdoptionAnswer(BaseModel):
    """The document in force."""

    name: str = Field(
        validation_alias=AliasChoices(AliasPath("event", "model"), AliasPath("event", "policy")),
        description="the contract's model, or the policy's id",
        examples=["car-price"],
    )
    digest: str = Field(
        validation_alias=AliasChoices(
            AliasPath("event", "contract_digest"), AliasPath("event", "policy_digest")
        ),
        description="SHA-256 of the canonical document",
        examples=[examples.SHA256],
    )
    position: int = Field(description="of the event that adopted it", examples=[1])


@router.post(
    "/contracts",
    status_code=201,
    summary="Hold a model's rows to a contract from here on",
    response_model=AdoptionAnswer,
    responses=refusals(409, 413, 415, 422, 503)
    | {200: {"model": AdoptionAnswer, "description": "it was in force already"}},
    openapi_extra=CONTRACT.documented(),
)
async def create_contract(
    here: Here, cause: RequestCause, request: Request, response: Response
) -> Recorded:
    """YAML or JSON. A wrong contract is refused with all its faults at once, 100 of them listed."""
    _, text = await CONTRACT.read(request, here.settings.body_bytes_max)
    async with alone(request) as turn:
        recorded, _, new = await run_in_threadpool(
            adopt_contract, here.ledger, text, cause, turn.giving_way.pause
        )
    if new:
        await run_in_threadpool(here.champions.refresh)
    response.status_code = 201 if new else 200
    return recorded


@router.post(
    "/policies",
    status_code=201,
    summary="Judge cycles by a policy from here on",
    response_model=AdoptionAnswer,
    responses=refusals(409, 413, 415, 422, 503)
    | {200: {"model": AdoptionAnswer, "description": "it was in force already"}},
    openapi_extra=POLICY.documented(),
)
async def create_policy(
    here: Here, cause: RequestCause, request: Request, response: Response
) -> Recorded:
    """YAML or JSON. One version of a policy is one document for ever."""
    _, text = await POLICY.read(request, here.settings.body_bytes_max)
    async with alone(request) as turn:
        recorded, _, new = await run_in_threadpool(
            adopt_policy, here.ledger, text, cause, turn.giving_way.pause
        )
    response.status_code = 201 if new else 200
    return recorded
