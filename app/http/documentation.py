"""What the OpenAPI document says beside the routes: problems, request bodies, examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from app.http.problems import MEDIA_TYPE
from app.http.shapes import CycleRequest, PredictionOfRow, PredictionOfRows, RollbackRequest
from app.intake.cloud_events import CloudEvent, Observation, Outcome

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
    faults: list[FaultBody] = Field(default=[], description="everything that is wrong, at once")


_DOCUMENTED: Final[tuple[type[BaseModel], ...]] = (
    ProblemBody,
    FaultBody,
    PredictionOfRow,
    PredictionOfRows,
    CloudEvent,
    Observation,
    Outcome,
    CycleRequest,
    RollbackRequest,
)
_MEANINGS: Final = {
    404: "no such model or thing",
    409: "somebody else was first, or the same id with another body",
    413: "the body is too large",
    415: "the content type is not taken here",
    422: "understood and not acceptable; every fault is listed",
    503: "not now: try again after `Retry-After` seconds",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems a route may answer, for its `responses`."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
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


def body_of(
    content: Mapping[str, Sequence[type[BaseModel]] | None],
    examples: Mapping[str, object],
    *,
    required: bool = True,
) -> dict[str, Any]:
    """A route's `openapi_extra` for a body it reads itself.

    `content` maps each content type it takes to the shapes it may have; None: plain text.
    """
    documented: dict[str, Any] = {}
    for media_type, shapes in content.items():
        references = [{"$ref": f"#/components/schemas/{shape.__name__}"} for shape in shapes or ()]
        schema: dict[str, Any] = {"oneOf": references} if references else {"type": "string"}
        if "batch" in media_type:
            schema = {"type": "array", "items": schema, "minItems": 1}
        documented[media_type] = {
            "schema": references[0] if references == [schema] else schema,
            "examples": {
                name: {"value": value}
                for name, value in examples.items()
                if isinstance(value, list) == ("batch" in media_type)
                and isinstance(value, str) == (shapes is None)
            },
        }
    return {"requestBody": {"required": required, "content": documented}}


def document(app: FastAPI) -> None:
    """Make `/openapi.json` name every shape that routes read themselves."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=DESCRIPTION,
                routes=app.routes,
                license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            )
            _, schemas = models_json_schema(
                [(shape, "validation") for shape in _DOCUMENTED],
                ref_template="#/components/schemas/{model}",
            )
            made.setdefault("components", {}).setdefault("schemas", {}).update(schemas["$defs"])
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
