"""Ordinary CloudEvents read in a tenth of the time; what is anything else, its declared shape says.

Most events have no attribute of their own and nothing that is wrong. What is taken here is taken by
`cloud_events` with the same values; what is not may be good all the same, or is refused there, in
words.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from app.intake.cloud_events import OBSERVATION, CloudEvent, Observation, Outcome
from domain.contract.contract import MODEL_PATTERN

# For `msgspec`, as for Python, `$` also stands before a newline that ends a text.
_Model = Annotated[str, Meta(pattern=MODEL_PATTERN.removesuffix("$") + r"\Z")]
_NO_EXTENSIONS: Final[dict[str, str | int | bool]] = {}


class QuickEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A CloudEvent without attributes of its own; the names are those of `CloudEvent`."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: Annotated[str, Meta(min_length=1, max_length=1024)]
    type: Literal["org.whyledger.observation.v1", "org.whyledger.outcome.v1"]
    data: dict[str, Any]
    time: Annotated[str, Meta(max_length=64)] | None = None
    datacontenttype: Literal["application/json"] | None = None

    @property
    def extensions(self) -> dict[str, str | int | bool]:
        """None."""
        return _NO_EXTENSIONS


class QuickObservation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What `Observation` is."""

    model: _Model
    row: dict[str, Any]


class QuickOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What `Outcome` is."""

    model: _Model
    label: Any
    prediction_id: Annotated[str, Meta(max_length=64)] | None = None
    identity: dict[str, Any] | None = None


SentEvent: TypeAlias = CloudEvent | QuickEvent
SentObservation: TypeAlias = Observation | QuickObservation
SentOutcome: TypeAlias = Outcome | QuickOutcome


def read_event(item: object) -> SentEvent:
    """The event. Raises pydantic.ValidationError: it is none."""
    try:
        quick = msgspec.convert(item, QuickEvent)
    except msgspec.ValidationError:
        return CloudEvent.model_validate(item)
    named = quick.id + quick.source + (quick.time or "")
    if named.isascii() and named.isprintable():
        return quick
    return CloudEvent.model_validate(item)


def read_data(event: SentEvent) -> SentObservation | SentOutcome:
    """What the event's type says that its data is. Raises pydantic.ValidationError: it is not."""
    if event.type == OBSERVATION:
        try:
            return msgspec.convert(event.data, QuickObservation)
        except msgspec.ValidationError:
            return Observation.model_validate(event.data)
    try:
        quick = msgspec.convert(event.data, QuickOutcome)
    except msgspec.ValidationError:
        return Outcome.model_validate(event.data)
    if (quick.prediction_id is None) == (quick.identity is None):
        return Outcome.model_validate(event.data)
    return quick
