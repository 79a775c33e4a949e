"""Placing prepared entries: under the ledger's lock, in one transaction, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from app.ledger.batch import Artefact, PreparedEntry, PreparedStream
from app.ledger.database import insert_rows
from app.ledger.reading import head, known_entries, stream_version
from app.ledger.tables import ARTEFACTS, ENTRIES
from app.ledger.tree import grow
from app.projections.runner import apply
from domain.envelope import Recorded
from domain.errors import IdempotencyConflict, VersionConflict


def commit(
    connection: Connection,
    prepared: Sequence[PreparedStream],
    artefacts: Sequence[Artefact],
    check: Callable[[Connection], None] | None,
) -> tuple[Recorded, ...]:
    """Place, insert and project what is new; everything that was asked for, as recorded."""
    entries = [entry for part in prepared for entry in part.entries]
    known = known_entries(connection, [entry.recorded.id for entry in entries])
    placed = _place(connection, prepared, known)
    if placed:
        _store_artefacts(connection, artefacts)
        if check is not None:
            check(connection)
        insert_rows(connection, ENTRIES, [_as_row(*pair) for pair in placed.values()])
        first = next(iter(placed.values()))[0].position
        grow(connection, first, [entry.leaf_hash for _, entry in placed.values()])
        apply(connection, [recorded for recorded, _ in placed.values()])
    return tuple(
        placed[id][0] if id in placed else known[id][0]
        for id in (entry.recorded.id for entry in entries)
    )


def _place(
    connection: Connection,
    prepared: Sequence[PreparedStream],
    known: dict[str, tuple[Recorded, bytes | None]],
) -> dict[str, tuple[Recorded, PreparedEntry]]:
    """Position and version for every event that is not in the ledger yet, by id, in order."""
    position = head(connection) + 1
    versions: dict[str, int] = {}
    placed: dict[str, tuple[Recorded, PreparedEntry]] = {}
    for part in prepared:
        fresh: list[PreparedEntry] = []
        for entry in part.entries:
            if entry.recorded.id in known:
                _check_same(entry, *known[entry.recorded.id])
            elif entry.recorded.id in placed:
                _check_same(
                    entry,
                    placed[entry.recorded.id][0],
                    placed[entry.recorded.id][1].request_digest,
                )
            else:
                fresh.append(entry)
                placed[entry.recorded.id] = (entry.recorded, entry)
        if not fresh:
            continue  # all of it is a retry: its version was checked the first time
        if part.stream not in versions:
            versions[part.stream] = stream_version(connection, part.stream)
        expected, actual = part.expected_version, versions[part.stream]
        if expected is not None and expected != actual:
            raise VersionConflict(part.stream, expected, actual)
        for entry in fresh:
            versions[part.stream] += 1
            recorded = replace(
                entry.recorded, position=position, stream_version=versions[part.stream]
            )
            placed[entry.recorded.id] = (recorded, entry)
            position += 1
    return placed


def _check_same(entry: PreparedEntry, recorded: Recorded, request_digest: bytes | None) -> None:
    same = (
        entry.request_digest == request_digest
        and entry.recorded.stream == recorded.stream
        and entry.recorded.event.type == recorded.event.type
    )
    if not same:
        raise IdempotencyConflict(
            f"id {recorded.id!r} was used before, for another {recorded.event.type} "
            f"in {recorded.stream!r}. Send the same body again, or choose another id."
        )


def _store_artefacts(connection: Connection, artefacts: Sequence[Artefact]) -> None:
    if not artefacts:
        return
    wanted = {artefact.sha256: artefact for artefact in artefacts}
    there = connection.execute(
        select(ARTEFACTS.c.sha256).where(ARTEFACTS.c.sha256.in_(list(wanted)))
    ).scalars()
    for sha256 in there:
        del wanted[sha256]
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
        entry.request_digest,
    )
