"""Entries that somebody adds by the database's own statements, as the application's role may."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from sqlalchemy import Connection, text

from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.ledger.tree import grow
from domain.canonical import canonical_bytes, leaf_hash
from domain.events.block_events import RowPlace
from domain.events.envelope import envelope_bytes
from domain.events.events import Event, PayloadErased
from tests.app.proof.forger import guards_dropped
from tests.plausible import TIME


def erasure(
    *,
    model: str = "cars",
    entries: tuple[int, ...] = (),
    rows: tuple[RowPlace, ...] = (),
    artefacts: tuple[str, ...] = (),
    cycles: tuple[str, ...] = (),
) -> PayloadErased:
    """The event that says it was erased."""
    return PayloadErased(
        model=model,
        entries=entries,
        rows=rows,
        artefacts=artefacts,
        cycles=cycles,
        model_versions=(),
        reason="a reason",
        legal_basis="a basis",
    )


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


def plant_event(
    connection: Connection,
    event: Event,
    *,
    stream: str = "ledger",
    changed: tuple[bytes, bytes] = (b"", b""),
    taken_up: bool = True,
) -> int:
    """Add an entry with the event; its position.

    Args:
        connection: on which it is added.
        event: of the entry.
        stream: where it stands last.
        changed: what of its bytes has something else in its place.
        taken_up: whether the tree's head counts it.
    """
    content = planted_bytes(event, stream).replace(*changed, 1)
    return plant(
        connection,
        content,
        stream=stream,
        type=event.type,
        taken_up=taken_up,
        schema=event.schema,
    )


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


def plant_unhashed(
    ledger: Ledger,
    event: Event,
    *,
    stream: str,
    leaf: bytes = bytes(32),
    taken_up: bool = True,
) -> int:
    """Add an entry whose bytes do not hash to its leaf, as one who has only SQLite's file may.

    PostgreSQL refuses it where its guards stand: there somebody lifts them.

    Args:
        ledger: whose database it is.
        event: of the entry.
        stream: where it stands last.
        leaf: what its hash says.
        taken_up: whether the tree's head counts it, by that hash.
    """
    by_hand = ledger.engine.begin if is_sqlite(ledger) else partial(guards_dropped, ledger)
    with by_hand() as connection:
        position = plant(
            connection,
            planted_bytes(event, stream),
            stream=stream,
            type=event.type,
            taken_up=False,
            schema=event.schema,
            leaf_hash=leaf,
        )
        if taken_up:
            grow(connection, position, [leaf])
    return position


def is_sqlite(ledger: Ledger) -> bool:
    return ledger.engine.dialect.name == "sqlite"
