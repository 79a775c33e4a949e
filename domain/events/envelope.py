"""What surrounds an event in the ledger, and the closed envelope whose canonical bytes are hashed.

Position and stream version are not part of the bytes: both are assigned under the ledger's lock
and follow from the order, so bytes and leaf hash are ready before it. A verifier derives both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
import orjson
from msgspec import UNSET, Struct

from domain.blocks.block import Block
from domain.blocks.ids import place_of
from domain.canonical import canonical_bytes, holds_nul
from domain.errors import LedgerDamaged, WhyledgerError
from domain.events.block_events import BLOCK_TYPES, BlockEvent
from domain.events.envelope_fields import envelope_fields
from domain.events.erasure import Erased, Payload
from domain.events.events import EVENT_TYPES, Event
from domain.events.quick import (
    Envelope,
    data_quickly,
    data_written_quickly,
    entry_quickly,
    entry_written_quickly,
)
from domain.events.rows_apart import (
    BlockOf,
    RowsApart,
    checked_rows,
    envelope_fault,
    rows_fault,
)
from domain.events.unreadable import HOLDS_NUL, EntryUnreadable, Unreadable
from domain.events.upcasting import UPCASTERS, upcast
from domain.faults import shown
from domain.stored_damage import StoredDamage

# What reading a payload raises that is none of its schema.
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, WhyledgerError)
_EVENT_BY_NAME: Final = {(event.type, event.schema): event for event in EVENT_TYPES}
_CATEGORIES: Final = {event.type: event.stream.partition("-")[0] for event in EVENT_TYPES}
_NEWEST: Final = {event.type: event.schema for event in EVENT_TYPES}

# What stands apart from the entry at a position; None when its erasure is recorded. Raises
# LedgerDamaged when it is missing without that.
PayloadOf = Callable[[int], Payload | None]


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the ledger, read back: the event and everything around it.

    Of an entry of many rows it is the entry, or one of its rows as `expansion.py` makes it.
    """

    position: int  # from 0, dense
    stream: str
    stream_version: int  # from 0, dense in its stream
    id: str  # UUID
    occurred_at: str  # when it happened in the world
    recorded_at: str  # when the ledger took it
    actor: str
    correlation_id: str
    causation_id: str | None
    event: Event | Erased | Unreadable
    row: int = 0  # which row of its entry
    rows: int = 1  # of the entry
    rows_apart: RowsApart | None = None  # of an entry of many, whole

    @property
    def place(self) -> int:
        """One number for position and row: rows are ordered by it as they were recorded."""
        return place_of(self.position, self.row)


def envelope_bytes(  # noqa: PLR0913 the envelope has these fields
    event: Event,
    *,
    id: str,
    stream: str,
    occurred_at: str,
    recorded_at: str,
    actor: str,
    correlation_id: str,
    causation_id: str | None,
    data_commit: str | None = None,
) -> bytes:
    """The canonical bytes that are stored and hashed.

    With a `data_commit` (64 hex digits) the event's data is not among them: it stands apart.

    Raises:
        NotCanonical: the event holds NaN, infinity or an integer beyond 2^53 - 1.
    """
    envelope: Envelope[Event] = Envelope(
        id=id,
        stream=stream,
        type=event.type,
        schema=event.schema,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        actor=actor,
        correlation_id=correlation_id,
        causation_id=causation_id,
        data=event if data_commit is None else UNSET,
        data_commit=UNSET if data_commit is None else data_commit,
    )
    content = entry_written_quickly(envelope)
    if content is not None:
        return content
    return canonical_bytes(msgspec.to_builtins(envelope, enc_hook=_ours))


def payload_of(event: Event, salt: bytes) -> Payload:
    """The event's data, to be kept apart with a salt of its own (32 random bytes).

    Raises:
        NotCanonical: the event holds NaN, infinity or an integer beyond 2^53 - 1.
    """
    content = data_written_quickly(event)
    if content is None:
        content = canonical_bytes(msgspec.to_builtins(event, enc_hook=_ours))
    return Payload(salt, content)


def _nothing_apart(position: int) -> Payload | None:
    raise LedgerDamaged(
        f"the data of entry {position} stands apart, and nothing was given to read it from. "
        "Read it through the ledger, or with the bundle's payloads."
    )


def _no_rows_apart(position: int) -> Block | None:
    raise LedgerDamaged(
        f"the rows of entry {position} stand apart, and nothing was given to read them from. "
        "Read it through the ledger."
    )


def parse_entry(
    content: bytes,
    *,
    position: int,
    stream_version: int,
    apart: PayloadOf = _nothing_apart,
    blocks: BlockOf = _no_rows_apart,
) -> Recorded:
    """The entry whose stored bytes are `content`.

    `apart` is asked for data that is not in them, `blocks` for rows that are not.

    Raises:
        EntryUnreadable: the bytes are no envelope of a version and type this code knows.
        StoredDamage: what stands apart is missing or not what they commit to.
    """
    envelope = entry_quickly(content)
    if envelope is None:
        envelope = _entry(content, position)
    if envelope.data is UNSET:
        if envelope.type in BLOCK_TYPES:
            raise EntryUnreadable(position, "many rows whose data stands apart twice")
        event = _event_apart(envelope, position, apart(position))
    else:
        event = envelope.data
    if not isinstance(event, Erased) and not _belongs(event, envelope.stream):
        why = f"{event.type!r} does not belong into the stream {shown(envelope.stream)}"
        raise EntryUnreadable(position, why)
    rows, rows_apart = 1, None
    if envelope.type in BLOCK_TYPES:
        many = cast(BlockEvent, event)
        rows, rows_apart = many.rows, _rows_apart(envelope, position, many, blocks)
    return Recorded(
        position=position,
        stream=envelope.stream,
        stream_version=stream_version,
        id=envelope.id,
        occurred_at=envelope.occurred_at,
        recorded_at=envelope.recorded_at,
        actor=envelope.actor,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        event=event,
        rows=rows,
        rows_apart=rows_apart,
    )


def _entry(content: bytes, position: int) -> Envelope[Event]:
    """The envelope that these bytes are, whatever its type, or why they are none, in words.

    Raises:
        EntryUnreadable: they are none.
    """
    fields = envelope_fields(content, position)
    if "data" not in fields:
        return Envelope(**fields)
    name, schema = fields["type"], fields["schema"]
    try:
        fields["data"] = event_from_data(name, schema, fields["data"])
    except UNREADABLE as error:
        raise EntryUnreadable(position, _why(name, schema, error)) from error
    return Envelope(**fields)


def why_unreadable(content: bytes, position: int) -> str | None:
    """Why the entry whose bytes are `content` cannot be read; None: it can.

    Data and rows that stand apart are not looked at.
    """
    try:
        parse_entry(
            content,
            position=position,
            stream_version=0,
            apart=_taken_for_erased,
            blocks=_taken_for_erased,
        )
    except EntryUnreadable as error:
        return error.why
    return None


def _taken_for_erased(_position: int) -> None:
    return None


def _rows_apart(
    envelope: Envelope[Event], position: int, event: BlockEvent, blocks: BlockOf
) -> RowsApart | None:
    """The rows of an entry of many, when they are to be looked at. Raises as `parse_entry`."""
    name, schema, shared = event.type, envelope.schema, event_data(event)
    why = envelope_fault(envelope, shared, _NEWEST[event.plain])
    if why is not None:
        raise EntryUnreadable(position, f"{name!r} with {why}")
    block = blocks(position)
    if block is None:
        return None
    rows = checked_rows(position, name, schema, shared, block)
    why = rows_fault(rows, shared)
    if why is None and holds_nul(block.content):
        why = HOLDS_NUL
    if why is not None:
        raise EntryUnreadable(position, f"{name!r} with {why}")
    return rows


def _belongs(event: Event, stream: str) -> bool:
    """Whether the stream is of the category that this type's are of."""
    return stream.partition("-")[0] == _CATEGORIES[event.type]


def _why(name: str, schema: int, error: Exception) -> str:
    if isinstance(error, LedgerDamaged):
        return f"the type {shown(name)} schema {shown(schema)}, unknown"
    found = type(error).__name__
    if isinstance(error, msgspec.ValidationError):
        what, _, where = str(error).replace("`", "").rpartition(" - at ")
        found = f"{shown(what)} at {shown(where)}" if what else shown(where)
    return f"data that is none of {name!r} schema {schema} ({found})"


def _event_apart(
    envelope: Envelope[Event], position: int, payload: Payload | None
) -> Event | Erased:
    name, schema = envelope.type, envelope.schema
    if payload is None:
        return Erased(type=name, schema=schema)
    if payload.commit != envelope.data_commit:
        raise StoredDamage(
            f"the data that stands apart for entry {position} has the commitment {payload.commit}, "
            f"the entry says {envelope.data_commit}. Stop writing; compare with a back-up.",
            position,
        )
    if holds_nul(payload.content):
        raise EntryUnreadable(position, HOLDS_NUL)
    event = data_quickly(name, schema, payload.content)
    if event is not None:
        return event
    try:
        return event_from_data(name, schema, orjson.loads(payload.content))
    except UNREADABLE as error:
        raise EntryUnreadable(position, _why(name, schema, error)) from error


def event_data(event: Event | Erased | Unreadable) -> dict[str, Any]:
    """The event's fields as JSON values; none of what is erased or cannot be read."""
    if isinstance(event, Erased | Unreadable):
        return {}
    data: dict[str, Any] = _UNPACKER.decode(_PACKER.encode(event))
    return data


def event_from_data(name: str, schema: int, data: Any) -> Event:
    """The event of type `name` whose payload `data` was written under schema number `schema`.

    A payload of an older schema comes back as one of the current schema (`upcasting.py`).

    Raises:
        LedgerDamaged: no such type and schema.
        KeyError, TypeError, msgspec.ValidationError: the payload is not one of that schema.
    """
    if (name, schema) in UPCASTERS:
        schema, data = upcast(name, schema, data)
    kind = _EVENT_BY_NAME.get((name, schema))
    if kind is None:
        raise LedgerDamaged(
            f"event type {name!r} schema {schema} is unknown to this version. "
            "Use a version at least as new as the one that wrote it."
        )
    return msgspec.convert(data, kind)


def _ours(value: object) -> float | str:
    """A double or a text of numpy, which is one of ours as well, as ours."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"an event holds a {type(value).__name__}, which JSON does not have")


# Through these lists come back for tuples, which `to_builtins` leaves, and numbers to the bit.
_PACKER: Final = msgspec.msgpack.Encoder(enc_hook=_ours)
_UNPACKER: Final = msgspec.msgpack.Decoder()
