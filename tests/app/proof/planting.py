"""Entries that somebody adds by statements of his own, as the application's role may."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, text

from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.tables import ENTRIES
from app.ledger.tree import grow
from domain.canonical import canonical_bytes, leaf_hash
from domain.events.envelope import envelope_bytes
from domain.events.events import Event
from tests.plausible import TIME


def planted_bytes(event: Event, into: str, **other: Any) -> bytes:
    """The bytes of an entry with `event`, and with `other` fields in its envelope."""
    content = envelope_bytes(
        event,
        id=new_id(),
        stream=into,
        occurred_at=TIME,
        recorded_at=TIME,
        actor="local:unauthenticated",
        correlation_id="c",
        causation_id=None,
    )
    return canonical_bytes(json.loads(content) | other)


def plant(
    connection: Connection,
    content: bytes,
    *,
    stream: str,
    type: str,
    taken_up: bool = True,
    **columns: Any,
) -> int:
    """Add the entry, and the head beside it; its position. `columns` say what they say."""
    next_position = "SELECT coalesce(max(position), -1) + 1 FROM entries"
    next_version = "SELECT coalesce(max(stream_version), -1) + 1 FROM entries WHERE stream = :s"
    position = connection.execute(text(next_position)).scalar_one()
    try:
        id = json.loads(content)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        id = new_id()
    row = {
        "position": position,
        "id": id,
        "stream": stream,
        "stream_version": connection.execute(text(next_version), {"s": stream}).scalar_one(),
        "type": type,
        "schema": 1,
        "occurred_at": TIME,
        "recorded_at": TIME,
        "bytes": content,
        "leaf_hash": leaf_hash(content),
        "request_digest": None,
    } | columns
    insert_rows(connection, ENTRIES, [tuple(row.values())])
    if taken_up:
        grow(connection, position, [leaf_hash(content)])
    return int(position)
