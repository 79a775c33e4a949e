"""What the OpenAPI document says beside the routes: problems, request bodies, examples."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from app.http.declared_body import SHAPES
from app.http.problems import MEDIA_TYPE
from domain.faults import FAULTS_MAX

DESCRIPTION: Final = """\
Every model that serves, and why. Each answer stands on the ledger: committed before it is sent.

The service listens on loopback only: there are no keys yet, and every actor is
`local:unauthenticated`. Everything that is refused is an RFC 9457 problem
(`application/problem+json`) that names the thing, its value, the bound and the remedy.
"""


class FaultBody(BaseModel):
    """One thing wrong with what was sent."""

    path: str = Field(description="JSON pointer into what was sent", examples=["/rows/3/hpwt"])
    message: str = Field(examples=["is 99.0 horsepower per 10 lb; the contract allows 0.05 to 2"])
    value: Any = Field(default=None, description="what was sent, shortened", examples=[99.0])


class ProblemBody(BaseModel):
    """An RFC 9457 problem."""

    type: str = Field(examples=["urn:whyledger:problem:rows-refused"])
    title: str = Field(examples=["Rows break the contract; nothing was kept"])
    status: int = Field(examples=[422])
    detail: str = Field(description="the thing, its value, the bound and the remedy")
    instance: str = Field(description="the path that was asked", examples=["/predictions"])
    faults: list[FaultBody] = Field(
        default=[], max_length=FAULTS_MAX, description="what is wrong, the first of it"
    )
    more_faults: int = Field(
        default=0, description="how many more there are; of rows beyond the list each counts once"
    )


_MEANINGS: Final = {
    400: "no HTTP, or a header that may stand once stands twice",
    403: "a browser sent it for a page of another site",
    404: "no such model or thing",
    409: "somebody else was first, or the same id with another body",
    413: "the body is too large",
    414: "the query is too long",
    415: "the content type is not taken here",
    421: "called by a name that is not this service's",
    422: f"understood and not acceptable; {FAULTS_MAX} faults are listed, further ones counted",
    503: "not now: try again after `Retry-After` seconds",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer, for its `responses`."""
    schema = {"$ref": SHAPES.format(model=ProblemBody.__name__)}
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": schema}},
            **(
                {"headers": {"Retry-After": {"schema": {"type": "integer"}}}}
                if status == 503  # noqa: PLR2004 as the table above
                else {}
            ),
        }
        for status in statuses
    }


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what routes declare, what they read themselves, and problems."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _, problem = models_json_schema([(ProblemBody, "serialization")], ref_template=SHAPES)
    shapes = made.setdefault("components", {}).setdefault("schemas", {})
    shapes.update(problem["$defs"])
    for methods in made["paths"].values():
        for operation in methods.values():
            shapes.update(operation.pop("$defs", {}))
            for status, refusal in refusals(
                400, 403, 414, 421
            ).items():  # by the edge, at every door
                operation["responses"].setdefault(str(status), refusal)
    return made
