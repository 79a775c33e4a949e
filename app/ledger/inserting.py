"""Inserting what has its place: entries, what stands apart from them, artefacts, and the tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from app.database.engine import in_plain_words, insert_rows
from app.ledger.batch import Artefact, PreparedEntry
from app.ledger.blocks import insert_row_ids
from app.ledger.tables import ARTEFACTS, BLOCKS, ENTRIES, PAYLOADS
from app.ledger.tree import grow
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.stored_damage import StoredDamage

Placed: TypeAlias = tuple[Recorded, PreparedEntry]


def insert_placed(connection: Connection, placed: Sequence[Placed]) -> None:
    """Insert entries, one at least, with what stands apart from them, and let the tree grow.

    Raises:
        StoredDamage: something stands in their place.
    """
    try:
        insert_rows(connection, ENTRIES, [_as_row(*each) for each in placed])
        insert_rows(connection, PAYLOADS, _payload_rows(placed))
        insert_rows(connection, BLOCKS, _block_rows(placed))
        for recorded, entry in placed:  # those of predictions follow from their entry's
            if entry.many is not None and entry.many.have_ids_of_clients:
                insert_row_ids(connection, recorded.position, entry.many.ids)
        grow(connection, placed[0][0].position, [entry.leaf_hash for _, entry in placed])
    except IntegrityError as error:
        raise StoredDamage(
            "a row stands in the ledger's tables where an append puts its own, which nobody but "
            f"somebody behind its back can have put there ({in_plain_words(error)}). Nothing was "
            "kept. Run `whyledger repair --plan`."
        ) from error


def store_artefacts(connection: Connection, artefacts: Sequence[Artefact]) -> None:
    """Insert those that are not stored yet.

    Raises:
        StoredDamage: one is stored that is not what its digest says.
    """
    if not artefacts:
        return
    wanted = {artefact.sha256: artefact for artefact in artefacts}
    query = select(ARTEFACTS.c.sha256, ARTEFACTS.c.kind, ARTEFACTS.c.bytes)
    for there in connection.execute(query.where(ARTEFACTS.c.sha256.in_(list(wanted)))):
        artefact = wanted.pop(there.sha256)
        if (there.kind, there.bytes) != (artefact.kind, artefact.content):
            raise StoredDamage(
                f"artefact {there.sha256} stands in the ledger with another kind or other bytes "
                "than its digest says, which nobody but somebody behind its back can have put "
                "there. Nothing was kept. Run `whyledger repair --plan`."
            )
    insert_rows(connection, ARTEFACTS, [(a.sha256, a.kind, a.content) for a in wanted.values()])


def _as_row(recorded: Recorded, entry: PreparedEntry) -> tuple[object, ...]:
    return (
        recorded.position,
        recorded.id,
        recorded.stream,
        recorded.stream_version,
        recorded.event.type,
        recorded.event.schema,
        recorded.occurred_at,
        recorded.recorded_at,
        entry.content,
        entry.leaf_hash,
        (entry.request_digest or None) if entry.payload is None and entry.many is None else None,
    )


def _payload_rows(placed: Sequence[Placed]) -> list[tuple[object, ...]]:
    """The rows of what stands apart; the request's digest too, for who guesses could check it."""
    rows: list[tuple[object, ...]] = []
    for recorded, entry in placed:
        payload, event = entry.payload, entry.recorded.event
        if payload is None:
            continue
        assert isinstance(event, PredictionMade | ObservationRecorded | OutcomeRecorded)  # noqa: S101 - `prepare` refuses others
        place = (recorded.position, event.model, event.identity)
        rows.append((*place, payload.salt, payload.content, entry.request_digest or None))
    return rows


def _block_rows(placed: Sequence[Placed]) -> list[tuple[object, ...]]:
    """What stands apart of entries of many rows, and from what requests they came."""
    rows: list[tuple[object, ...]] = []
    for recorded, entry in placed:
        if entry.many is not None:
            block, digests = entry.many.block, entry.many.digests
            kept = (block.salts, block.content, digests, entry.request_digest)
            rows.append((recorded.position, recorded.rows, *kept))
    return rows
