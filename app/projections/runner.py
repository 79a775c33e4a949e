"""Folds entries into read models: inline, in the append's transaction, and again at a rebuild.

Both use this one function, so a rebuild is a proof that they agree. However the entries are cut
into batches, the read models come out the same: entries of one type in a row are applied together,
rows and labels that stand mixed by type, and no projection looks at anything after the entry it
applies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, select

from app.projections import (
    champions,
    contracts,
    cycles,
    decisions,
    erasures,
    labels,
    models,
    policies,
    predictions,
    refusals,
)
from app.projections.tables import READ_MODELS
from domain.canonical import canonical_bytes
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.events import EVENT_TYPES, ObservationRecorded, OutcomeRecorded, PredictionMade

Apply = Callable[[Connection, Sequence[Recorded]], None]

# Cycles come before what looks up a cycle, models before what looks up a target.
_PROJECTIONS: Final[tuple[Mapping[Any, Apply], ...]] = (
    contracts.APPLY,
    policies.APPLY,
    cycles.APPLY,
    champions.APPLY,
    models.APPLY,
    decisions.APPLY,
    predictions.APPLY,
    labels.APPLY,
    refusals.APPLY,
    erasures.APPLY,
)
_APPLY: Final[dict[str, tuple[Apply, ...]]] = {
    event.type: tuple(p[event] for p in _PROJECTIONS if event in p) for event in EVENT_TYPES
}
# Many requests share a transaction; one statement a table serves them all.
_MIXED: Final = {PredictionMade.type: 0, ObservationRecorded.type: 1, OutcomeRecorded.type: 2}
_DIGEST_ROWS: Final = 1000  # fetched at once


def apply(connection: Connection, entries: Sequence[Recorded]) -> None:
    """Fold `entries`, in order of position, into every read model; what is erased: passed over."""
    there = [entry for entry in entries if not isinstance(entry.event, Erased)]
    for mixed, entries_of_run in groupby(there, key=lambda entry: entry.event.type in _MIXED):
        run = list(entries_of_run)
        # Only an outcome looks at another row, and at an earlier one, so these may change places.
        ordered = list(run)
        if mixed:
            ordered.sort(key=lambda entry: _MIXED[entry.event.type])
        for name, alike in groupby(ordered, key=lambda entry: entry.event.type):
            same = list(alike)
            for each in _APPLY[name]:
                each(connection, same)


def empty(connection: Connection) -> None:
    """Empty every read model."""
    for table in READ_MODELS:
        connection.execute(delete(table))


def digests(connection: Connection) -> dict[str, str]:
    """SHA-256 of each read model: table -> 64 hex digits over its rows, canonical, by primary key.

    Equal on SQLite and PostgreSQL, and however often it was rebuilt.
    """
    return {table.name: _digest(connection, table) for table in READ_MODELS}


def _digest(connection: Connection, table: Table) -> str:
    found = hashlib.sha256()
    query = select(table).order_by(*table.primary_key.columns)
    rows = connection.execute(query, execution_options={"yield_per": _DIGEST_ROWS})
    for row in rows:
        found.update(canonical_bytes(list(row)) + b"\n")
    return found.hexdigest()
