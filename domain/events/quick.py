"""The quick way to write and to read entries of rows: by far the most, and of plain values only.

`msgspec` writes and reads a struct in a tenth of the time that looking at each value takes. It is
asked where it is certain to do as the way round does, which is `canonical_bytes` in writing, and in
reading `envelope.py`, by which alone something is refused: what is not quick comes back as None.
Fuzz tests hold both ways together, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from domain.canonical import INTEGER_MAX, PLAIN_FLOAT_MAX, PLAIN_FLOAT_MIN, holds_nul
from domain.events.block_events import BLOCK_EVENTS, BlockEvent
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, PredictionMade

ENVELOPE_VERSION: Final = 1
E = TypeVar("E")


class Envelope(Struct, Generic[E], frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The closed envelope, as it is hashed: with `data`, or with `data_commit` in its place."""

    v: Literal[1] = ENVELOPE_VERSION
    id: str
    stream: str
    type: str
    schema: int
    occurred_at: str
    recorded_at: str
    actor: str
    correlation_id: str
    causation_id: str | None
    data: E | UnsetType = UNSET
    data_commit: str | UnsetType = UNSET


_KINDS: Final[tuple[type[Event], ...]] = (
    PredictionMade,
    ObservationRecorded,
    OutcomeRecorded,
    *BLOCK_EVENTS,
)
_NAMES: Final = frozenset((str,))
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
# How canonical bytes end, behind the comma before their last but one field -> the reader of such.
_TAIL: Final = ',"v":1}'
_ENTRIES: Final = {
    f',"type":"{kind.type}"{_TAIL}'.encode(): (
        kind.type,
        kind.schema,
        msgspec.json.Decoder(Envelope[kind]),  # type: ignore[valid-type]
    )
    for kind in _KINDS
}
_DATA: Final = {(kind.type, kind.schema): msgspec.json.Decoder(kind) for kind in _KINDS}


def entry_quickly(content: bytes) -> Envelope[Event] | None:
    """The envelope that these stored bytes are; None where that is not certain."""
    found = _ENTRIES.get(content[content.rfind(b",", 0, -len(_TAIL)) :])
    if found is None or holds_nul(content):
        return None
    name, schema, decoder = found
    try:
        envelope: Envelope[Event] = decoder.decode(content)
    except ValueError:
        return None
    if (envelope.data is UNSET) is (envelope.data_commit is UNSET):
        return None
    return envelope if envelope.type == name and envelope.schema == schema else None


def data_quickly(name: str, schema: int, content: bytes) -> Event | None:
    """The event whose data, without an envelope, is `content`; None where that is not certain."""
    decoder = _DATA.get((name, schema))
    try:
        return None if decoder is None else decoder.decode(content)
    except ValueError:
        return None


def entry_written_quickly(envelope: Envelope[Event]) -> bytes | None:
    """The canonical bytes of the envelope; None where that is not certain."""
    event = envelope.data
    if event is not UNSET:
        written = _as_written(event)
        if written is None:
            return None
        if written is not event:
            envelope = replace(envelope, data=written)
    return _encoded(envelope)


def data_written_quickly(event: Event) -> bytes | None:
    """The canonical bytes of the event's data, without an envelope; None as above."""
    written = _as_written(event)
    return None if written is None else _encoded(written)


def _encoded(value: Struct) -> bytes | None:
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError):  # a lone surrogate, or what is no JSON
        return None


def _as_written(event: Event) -> Event | None:
    """The event with whole floats as the integers they are written as; None: go the way round."""
    written = _WRITTEN.get(type(event))
    return None if written is None else written(event)


def _prediction(event: PredictionMade) -> Event | None:
    row, number = _values(event.row), _number(event.prediction)
    if row is event.row and number is event.prediction:
        return event
    return None if row is None or number is None else replace(event, row=row, prediction=number)


def _observation(event: ObservationRecorded) -> Event | None:
    row = _values(event.row)
    if row is None or _values(event.extensions) is not event.extensions:
        return None
    return event if row is event.row else replace(event, row=row)


def _outcome(event: OutcomeRecorded) -> Event | None:
    number = _number(event.label)
    if number is None or _values(event.extensions) is not event.extensions:
        return None
    return replace(event, label=number)


def _many(event: BlockEvent) -> Event | None:
    return event if max(event.rows, event.row_schema) <= INTEGER_MAX else None


def _values(values: dict[str, Any]) -> dict[str, Any] | None:
    """These by name, with whole floats as integers; themselves without any; None: as above."""
    # RFC 8785 sorts names by UTF-16, which nobody else does.
    if not _NAMES.issuperset(map(type, values)) or not "".join(values).isascii():
        return None
    whole: dict[str, Any] = {}
    for name, value in values.items():
        kind = type(value)
        if kind is float:
            if PLAIN_FLOAT_MIN <= value < PLAIN_FLOAT_MAX and not value.is_integer():
                continue  # most of them, without a call each
            number = _number(value)
            if number is None:
                return None
            whole[name] = number
        elif kind is int:
            if not -INTEGER_MAX <= value <= INTEGER_MAX:
                return None
        elif kind is not str and value is not None:
            return None
    return values | whole if whole else values


def _number(value: float) -> float | None:
    """The number as it is written, a whole one as an integer; None: go the way round.

    >>> _number(5.5), _number(5.0), _number(-0.0), _number(1e300)
    (5.5, 5, 0, None)
    """
    if type(value) is not float:
        return None
    if PLAIN_FLOAT_MIN <= abs(value) < PLAIN_FLOAT_MAX:
        return int(value) if value.is_integer() else value
    return 0 if value == 0 else None


_WRITTEN: Final[dict[type, Callable[[Any], Event | None]]] = {
    PredictionMade: _prediction,
    ObservationRecorded: _observation,
    OutcomeRecorded: _outcome,
    **dict.fromkeys(BLOCK_EVENTS, _many),
}
