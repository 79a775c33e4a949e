"""Compare the read models with what the entries give, without touching either.

The entries are folded into a scratch database, so that nobody waits for a lock and nothing is
emptied. `rebuild.py` is for putting right what differs.
"""

from __future__ import annotations

import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Table, create_engine, select

from app.ledger.reading import read_entries
from app.ledger.tables import METADATA
from app.projections.runner import apply, digests
from app.projections.tables import READ_MODELS
from app.proof.verify.breaks import Break

_PAGE_ENTRIES: Final = 500
_SHOWN: Final = 300  # characters of a differing row


def differing_read_models(connection: Connection) -> tuple[int, list[Break]]:
    """How many read models were compared, and the first differing row of each that differs.

    Raises:
        LedgerDamaged: an entry cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="whyledger-verify-") as directory:
        engine = create_engine(f"sqlite:///{Path(directory) / 'scratch.db'}")
        try:
            METADATA.create_all(engine, tables=READ_MODELS)
            with engine.begin() as scratch:
                _fold(connection, scratch)
                stored, expected = digests(connection), digests(scratch)
                found = [
                    _first_difference(table, connection, scratch)
                    for table in READ_MODELS
                    if stored[table.name] != expected[table.name]
                ]
        finally:
            engine.dispose()
    return len(READ_MODELS), found


def _fold(connection: Connection, scratch: Connection) -> None:
    done = -1
    while page := read_entries(connection, done, _PAGE_ENTRIES):
        apply(scratch, page)
        done = page[-1].position


def _first_difference(table: Table, connection: Connection, scratch: Connection) -> Break:
    query = select(table).order_by(*table.primary_key.columns)
    position = None
    found = expected = None
    with connection.execute(query) as stored, scratch.execute(query) as right:
        for found, expected in zip_longest(stored, right):
            if found is None or expected is None or tuple(found) != tuple(expected):
                shown = expected if expected is not None else found
                position = shown._mapping.get("position") if shown is not None else None
                break
    return Break(
        position,
        f"the read model {table.name!r}",
        f"the row {_shown(expected)}, which the entries give",
        _shown(found),
    )


def _shown(row: object) -> str:
    return "none" if row is None else repr(row)[:_SHOWN]
