"""What surrounds an event in the ledger, and the closed envelope whose canonical bytes are hashed.

Position and stream version are not part of the bytes: both are assigned under the ledger's lock
and follow from the order, so bytes and leaf hash are ready before it. A verifier derives both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from domain.canonical import canonical_bytes
from domain.errors import LedgerDamaged
from domain.events.erasure import Erased, Payload
from domain.events.events import EVENT_TYPES, Event
from domain.events.upcasting import UPCASTERS, upcast
from domain.stored_damage import StoredDamage

ENVELOPE_VERSION: Final = 1
_FIELDS: Final = frozenset(
    "v id stream type schema occurred_at recorded_at actor correlation_id causation_id data".split()
)
_FIELDS_APART: Final = _FIELDS - {"data"} | {"data_commit"}  # the data stands apart
_EVENT_BY_NAME: Final = {(event.type, event.schema): event for event in EVENT_TYPES}
_ADAPTERS: Final[dict[tuple[str, int], TypeAdapter[Any]]] = {}

# What stands apart from the entry at a position; None when its erasure is recorded. Raises
# LedgerDamaged when it is missing without that.
PayloadOf = Callable[[int], Payload | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An entry of the ledger, read back: the event and everything around it."""

    position: int  # from 0, dense
    stream: str
    stream_version: int  # from 0, dense in its stream
    id: str  # UUID
    occurred_at: str  # when it happened in the world
    recorded_at: str  # when the ledger took it
    actor: str
    correlation_id: str
    causation_id: str | None
    event: Event | Erased


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


def parse_entry(
    content: bytes,
    *,
    position: int,
    stream_version: int,
    apart: PayloadOf = _nothing_apart,
) -> Recorded:
    """The entry whose stored bytes are `content`; `apart` is asked for data that is not in them.

    Raises:
        LedgerDamaged: the bytes are no envelope of a version and type this code knows, or the data
            that stands apart is missing or not what they commit to.
    """
    try:
        envelope = orjson.loads(content)
        if (fields := set(envelope)) not in (_FIELDS, _FIELDS_APART) or envelope[
            "v"
        ] != ENVELOPE_VERSION:
            raise LedgerDamaged(
                f"entry {position} has the envelope fields {sorted(envelope)}; version "
                f"{ENVELOPE_VERSION} has {sorted(_FIELDS)}. Read it with the version that wrote it."
            )
        event: Event | Erased
        if "data" in fields:
            event = event_from_data(envelope["type"], envelope["schema"], envelope["data"])
        else:
            event = _event_apart(envelope, position, apart(position))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValidationError) as error:
        raise LedgerDamaged(
            f"entry {position} cannot be read: {error}. Verify the ledger against a checkpoint."
        ) from error
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
    )


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
    return event_from_data(envelope["type"], envelope["schema"], orjson.loads(payload.content))


def event_data(event: Event | Erased) -> dict[str, Any]:
    """The event's fields as JSON values; none are left of an erased one."""
    if isinstance(event, Erased):
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
