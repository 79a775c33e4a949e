"""What surrounds an event in the ledger, and the closed envelope whose canonical bytes are hashed.

Position and stream version are not part of the bytes: both are assigned under the ledger's lock
and follow from the order, so bytes and leaf hash are ready before it. A verifier derives both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.blocks.block import Block
from domain.blocks.ids import place_of
from domain.canonical import canonical_bytes, holds_nul
from domain.errors import LedgerDamaged, WhyledgerError
from domain.events.block_events import BLOCK_EVENTS, BLOCK_TYPES, BlockEvent
from domain.events.erasure import Erased, Payload
from domain.events.events import EVENT_TYPES, Event
from domain.events.rows_apart import (
    BlockOf,
    RowsApart,
    checked_rows,
    envelope_fault,
    rows_fault,
)
from domain.events.unreadable import HOLDS_NUL, NO_JSON, EntryUnreadable, Unreadable
from domain.events.upcasting import UPCASTERS, upcast
from domain.faults import shown
from domain.stored_damage import StoredDamage

ENVELOPE_VERSION: Final = 1
_FIELDS: Final = frozenset(
    "v id stream type schema occurred_at recorded_at actor correlation_id causation_id data".split()
)
_FIELDS_APART: Final = _FIELDS - {"data"} | {"data_commit"}  # the data stands apart
_TEXTS: Final = tuple(
    "id stream type occurred_at recorded_at actor correlation_id causation_id".split()
)
_SHOWN: Final = 60  # characters of a name that somebody else chose
_DEEP: Final = 5  # of them
# What reading a payload raises that is none of its schema.
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, WhyledgerError)
_EVENT_BY_NAME: Final = {(event.type, event.schema): event for event in EVENT_TYPES}
_NEWEST: Final = {event.type: event.schema for event in EVENT_TYPES}
_ADAPTERS: Final[dict[tuple[str, int], TypeAdapter[Any]]] = {}

# What stands apart from the entry at a position; None when its erasure is recorded. Raises
# LedgerDamaged when it is missing without that.
PayloadOf = Callable[[int], Payload | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
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
    rows_apart: RowsApart | None = field(default=None, repr=False)  # of an entry of many, whole

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
    return canonical_bytes(
        {
            "v": ENVELOPE_VERSION,
            "id": id,
            "stream": stream,
            "type": event.type,
            "schema": event.schema,
            "occurred_at": occurred_at,
            "recorded_at": recorded_at,
            "actor": actor,
            "correlation_id": correlation_id,
            "causation_id": causation_id,
            **(
                {"data": event_data(event)} if data_commit is None else {"data_commit": data_commit}
            ),
        }
    )


def payload_of(event: Event, salt: bytes) -> Payload:
    """The event's data, to be kept apart with a salt of its own (32 random bytes).

    Raises:
        NotCanonical: the event holds NaN, infinity or an integer beyond 2^53 - 1.
    """
    return Payload(salt, canonical_bytes(event_data(event)))


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
    envelope = _envelope(content, position)
    if envelope["type"] in BLOCK_TYPES and "data" not in envelope:
        raise EntryUnreadable(position, "many rows whose data stands apart twice")
    payload = None if "data" in envelope else apart(position)
    try:
        event: Event | Erased
        if "data" in envelope:
            event = event_from_data(envelope["type"], envelope["schema"], envelope["data"])
        else:
            event = _event_apart(envelope, position, payload)
    except (StoredDamage, EntryUnreadable):
        raise
    except UNREADABLE as error:
        raise EntryUnreadable(position, _why(envelope, error)) from error
    if not isinstance(event, Erased) and not _belongs(event, envelope["stream"]):
        why = f"{event.type!r} does not belong into the stream {shown(envelope['stream'])}"
        raise EntryUnreadable(position, why)
    rows, rows_apart = 1, None
    if isinstance(event, BLOCK_EVENTS):
        rows, rows_apart = event.rows, _rows_apart(envelope, position, event, blocks)
    return Recorded(
        position=position,
        stream=envelope["stream"],
        stream_version=stream_version,
        id=envelope["id"],
        occurred_at=envelope["occurred_at"],
        recorded_at=envelope["recorded_at"],
        actor=envelope["actor"],
        correlation_id=envelope["correlation_id"],
        causation_id=envelope["causation_id"],
        event=event,
        rows=rows,
        rows_apart=rows_apart,
    )


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
    envelope: dict[str, Any], position: int, event: BlockEvent, blocks: BlockOf
) -> RowsApart | None:
    """The rows of an entry of many, when they are to be looked at. Raises as `parse_entry`."""
    name, schema, shared = event.type, envelope["schema"], event_data(event)
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


def _envelope(content: bytes, position: int) -> dict[str, Any]:
    """The fields of an envelope, each of its kind. Raises EntryUnreadable."""
    try:
        envelope: dict[str, Any] = orjson.loads(content)
    except ValueError as error:
        raise EntryUnreadable(position, NO_JSON) from error
    if holds_nul(content):
        raise EntryUnreadable(position, HOLDS_NUL)
    if type(envelope) is not dict:
        raise EntryUnreadable(position, "JSON that is no envelope")
    if (fields := envelope.keys()) != _FIELDS and fields != _FIELDS_APART:
        more = sorted(fields - _FIELDS - _FIELDS_APART) or sorted(fields - _FIELDS)
        fewer = sorted(_FIELDS - fields)
        said = f"also {_listed(more)}" if more else f"not {_listed(fewer)}"
        raise EntryUnreadable(position, f"an envelope that has {said}")
    if envelope["v"] != ENVELOPE_VERSION:
        why = f"an envelope of version {shown(envelope['v'])}, not {ENVELOPE_VERSION}"
        raise EntryUnreadable(position, why)
    for name in _TEXTS:
        if type(envelope[name]) is not str:
            if name == "causation_id" and envelope[name] is None:
                continue
            raise EntryUnreadable(position, f"an envelope whose {name} is no text")
    if type(envelope["schema"]) is not int:
        raise EntryUnreadable(position, "an envelope whose schema is no number")
    return envelope


def _belongs(event: Event, stream: str) -> bool:
    """Whether the stream is of the category that this type's are of."""
    return stream.partition("-")[0] == event.stream.partition("-")[0]


def _why(envelope: dict[str, Any], error: Exception) -> str:
    if isinstance(error, LedgerDamaged):
        return f"the type {shown(envelope['type'])} schema {shown(envelope['schema'])}, unknown"
    found = type(error).__name__
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        at = "/".join(str(part)[:_SHOWN] for part in first["loc"][:_DEEP])
        found = f"{first['type']} at {at!r}"
    return f"data that is none of {envelope['type']!r} schema {envelope['schema']} ({found})"


def _listed(names: list[str]) -> str:
    return ", ".join(name[:_SHOWN] for name in names[:_DEEP])


def _event_apart(
    envelope: dict[str, Any], position: int, payload: Payload | None
) -> Event | Erased:
    if payload is None:
        return Erased(type=envelope["type"], schema=envelope["schema"])
    if payload.commit != envelope["data_commit"]:
        raise StoredDamage(
            f"the data that stands apart for entry {position} has the commitment {payload.commit}, "
            f"the entry says {envelope['data_commit']}. Stop writing; compare with a back-up.",
            position,
        )
    if holds_nul(payload.content):
        raise EntryUnreadable(position, HOLDS_NUL)
    return event_from_data(envelope["type"], envelope["schema"], orjson.loads(payload.content))


def event_data(event: Event | Erased | Unreadable) -> dict[str, Any]:
    """The event's fields as JSON values; none of what is erased or cannot be read."""
    if isinstance(event, Erased | Unreadable):
        return {}
    data: dict[str, Any] = _adapter(type(event)).dump_python(event, mode="json")
    return data


def event_from_data(name: str, schema: int, data: Any) -> Event:
    """The event of type `name` whose payload `data` was written under schema number `schema`.

    A payload of an older schema comes back as one of the current schema (`upcasting.py`).

    Raises:
        LedgerDamaged: no such type and schema.
        KeyError, TypeError, ValidationError: the payload is not one of that schema.
    """
    if (name, schema) in UPCASTERS:
        schema, data = upcast(name, schema, data)
    kind = _EVENT_BY_NAME.get((name, schema))
    if kind is None:
        raise LedgerDamaged(
            f"event type {name!r} schema {schema} is unknown to this version. "
            "Use a version at least as new as the one that wrote it."
        )
    event: Event = _adapter(kind).validate_python(data, strict=False)
    return event


def _adapter(kind: type[Event]) -> TypeAdapter[Any]:
    """The compiled reader and writer of one event type, made at its first use."""
    adapter = _ADAPTERS.get((kind.type, kind.schema))
    if adapter is None:
        adapter = _ADAPTERS[(kind.type, kind.schema)] = TypeAdapter(kind)
    return adapter
