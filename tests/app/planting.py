"""Entries that somebody adds by the database's own statements, as the application's role may."""

from __future__ import annotations

from sqlalchemy import Connection, text

from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.tables import ENTRIES
from app.ledger.tree import grow
from domain.canonical import leaf_hash
from domain.events.envelope import envelope_bytes
from domain.events.events import Event, PayloadErased
from tests.ledger_events import TIME


def erasure(
    *,
    model: str = "cars",
    entries: tuple[int, ...] = (),
    artefacts: tuple[str, ...] = (),
    cycles: tuple[str, ...] = (),
) -> PayloadErased:
    """The event that says it was erased."""
    return PayloadErased(
        model=model,
        entries=entries,
        artefacts=artefacts,
        cycles=cycles,
        model_versions=(),
        reason="a reason",
        legal_basis="a basis",
    )


def plant(
    connection: Connection,
    event: Event,
    *,
    stream: str = "ledger",
    changed: tuple[bytes, bytes] = (b"", b""),
    taken_up: bool = True,
) -> int:
    """Add an entry, and the head beside it; its position.

    Args:
        connection: on which it is added.
        event: of the entry.
        stream: where it stands last.
        changed: what of its bytes has something else in its place.
        taken_up: whether the tree's head counts it.
    """
    position = connection.execute(text("SELECT count(*) FROM entries")).scalar_one()
    version = connection.execute(
        text("SELECT count(*) FROM entries WHERE stream = :stream"), {"stream": stream}
    ).scalar_one()
    id = new_id()
    content = envelope_bytes(
        event,
        id=id,
        stream=stream,
        occurred_at=TIME,
        recorded_at=TIME,
        actor="local:unauthenticated",
        correlation_id="c",
        causation_id=None,
    ).replace(*changed, 1)
    leaf = leaf_hash(content)
    row = (position, id, stream, version, event.type, event.schema, TIME, TIME, content, leaf, None)
    insert_rows(connection, ENTRIES, [row])
    if taken_up:
        grow(connection, position, [leaf])
    return int(position)
