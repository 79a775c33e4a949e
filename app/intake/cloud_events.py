"""What a client may send as CloudEvents: a labelled row, or the label of a prediction."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    StrictBool,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from domain.contract.contract import MODEL_PATTERN
from domain.faults import shown
from domain.plain_text import unprintable

OBSERVATION: Final = "org.whyledger.observation.v1"
OUTCOME: Final = "org.whyledger.outcome.v1"

ModelName = Annotated[str, Field(pattern=MODEL_PATTERN, examples=["car-price"])]


EXTENSIONS_MAX: Final = 50  # attributes of one event beside those we know
EXTENSION_LENGTH_MAX: Final = 1024  # characters of one
_NAME: Final = re.compile(r"[a-z0-9]{1,64}")
_JSON_TYPE: Final = re.compile(r"application/([\w.+-]+\+)?json\s*(;.*)?", re.IGNORECASE)


def _is_json(kind: str) -> str:
    """The media type, with parameters or without. Raises ValueError when it is not JSON's."""
    if not _JSON_TYPE.fullmatch(kind):
        raise ValueError("should be application/json, or a type that ends in +json")
    return kind


def _printable(text: str) -> str:
    sign = unprintable(text)
    if sign is not None:
        raise ValueError(f"holds {sign}, which is not printable; remove it")
    return text


Printable = Annotated[str, AfterValidator(_printable)]


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


class CloudEvent(BaseModel):
    """A CloudEvent 1.0: the attributes this service knows, and any others, which it keeps."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str | StrictBool | int | None]

    specversion: Literal["1.0"]
    id: Printable = Field(min_length=1, max_length=256, description="unique in its source")
    source: Printable = Field(
        min_length=1, max_length=1024, description="URI reference of who sends"
    )
    type: Literal["org.whyledger.observation.v1", "org.whyledger.outcome.v1"]
    time: str | None = Field(
        default=None, max_length=64, description="RFC 3339; when an outcome became known"
    )
    subject: str | None = Field(default=None, max_length=1024)
    datacontenttype: Annotated[str, AfterValidator(_is_json)] | None = Field(
        default=None, max_length=256, examples=["application/json; charset=utf-8"]
    )
    dataschema: str | None = Field(default=None, max_length=1024)
    data: Annotated[dict[str, JsonValue], _EitherKind()]

    @property
    def extensions(self) -> dict[str, str | int | bool]:
        """The attributes beside those we know, by name; one that is null is not there."""
        given = self.__pydantic_extra__ or {}
        return {name: value for name, value in sorted(given.items()) if value is not None}

    @model_validator(mode="after")
    def _well_formed(self) -> CloudEvent:
        extensions = self.extensions
        if len(extensions) > EXTENSIONS_MAX:
            raise ValueError(
                f"has {len(extensions)} extension attributes; send at most {EXTENSIONS_MAX}"
            )
        for name, value in extensions.items():
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"the attribute {shown(name)} is no CloudEvents name; write 1 to 64 lower-case "
                    "letters and digits"
                )
            if isinstance(value, str) and len(value) > EXTENSION_LENGTH_MAX:
                raise ValueError(
                    f"the attribute {name!r} has {len(value)} characters; send at most "
                    f"{EXTENSION_LENGTH_MAX}"
                )
            if isinstance(value, str) and unprintable(value):
                raise ValueError(
                    f"the attribute {name!r} holds {unprintable(value)}, which is not printable; "
                    "remove it"
                )
        return self
