"""What a client may send as CloudEvents: a labelled row, or the label of a prediction."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from domain.contract.contract import MODEL_PATTERN

OBSERVATION: Final = "org.whyledger.observation.v1"
OUTCOME: Final = "org.whyledger.outcome.v1"

ModelName = Annotated[str, Field(pattern=MODEL_PATTERN, examples=["car-price"])]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Observation(_Sent):
    """A labelled row."""

    model: ModelName
    row: dict[str, JsonValue] = Field(description="the contract's columns, the target included")


class Outcome(_Sent):
    """The true value of a prediction, named by its id or by the row's identity columns."""

    model: ModelName
    prediction_id: str | None = Field(default=None, max_length=64)
    identity: dict[str, JsonValue] | None = Field(
        default=None, description="the contract's identity columns", examples=[{"year": 1976}]
    )
    label: JsonValue = Field(description="the true value, in the target's unit")

    @model_validator(mode="after")
    def _named_once(self) -> Outcome:
        if (self.prediction_id is None) == (self.identity is None):
            raise ValueError("send either prediction_id or identity, one of the two")
        return self


class _EitherKind:
    """Describes `data` as what its event's type says it is."""

    @staticmethod
    def __get_pydantic_json_schema__(
        _: CoreSchema, described: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        kinds = (Observation, Outcome)
        return {"anyOf": [described(kind.__pydantic_core_schema__) for kind in kinds]}


class CloudEvent(_Sent):
    """A CloudEvent 1.0 in structured mode, with the attributes this service knows."""

    specversion: Literal["1.0"]
    id: str = Field(min_length=1, max_length=256, description="unique in its source")
    source: str = Field(min_length=1, max_length=1024, description="URI reference of who sends")
    type: Literal["org.whyledger.observation.v1", "org.whyledger.outcome.v1"]
    time: str | None = Field(
        default=None, max_length=64, description="RFC 3339; when an outcome became known"
    )
    subject: str | None = Field(default=None, max_length=1024)
    datacontenttype: Literal["application/json"] | None = None
    dataschema: str | None = Field(default=None, max_length=1024)
    traceparent: str | None = Field(default=None, max_length=256)
    tracestate: str | None = Field(default=None, max_length=1024)
    partitionkey: str | None = Field(default=None, max_length=1024)
    data: Annotated[dict[str, JsonValue], _EitherKind()]
