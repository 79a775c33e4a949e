"""Folding entries into read models, and what names what came out: a digest of each.

One function folds, whether an append does it, a start, or a rebuild: so a rebuild is a proof that
they agree. However the entries are cut into batches, the read models come out the same, and each
comes out the same alone: a projection looks at its own table and at the ledger before the entry,
and at nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final

from sqlalchemy import Connection, Table, select

from app.database.scratch import scratch_database
from app.ledger.past import Past
from app.projections.read_model import METADATA, ReadModel, tables_of
from domain.canonical import canonical_bytes
from domain.errors import NotCanonical
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.expansion import expanded
from domain.events.unreadable import Unreadable

PAGE_ENTRIES: Final = 500  # read, folded and forgotten at once
_DIGEST_ROWS: Final = 1000  # fetched at once


def fold(
    read_models: Iterable[ReadModel],
    connection: Connection,
    past: Past,
    entries: Sequence[Recorded],
) -> None:
    """Fold `entries`, in order of position, into each read model; of many rows each by itself.

    What is erased, and what nobody can read, is passed over.

    Entries that one function folds are given to it together: many requests share a transaction,
    and one statement a table serves them all.
    """
    there = [
        entry for entry in expanded(entries) if not isinstance(entry.event, Erased | Unreadable)
    ]
    kinds = {type(entry.event) for entry in there}
    for read_model in read_models:
        apply = read_model.apply
        if kinds.isdisjoint(apply):
            continue
        mine = [entry for entry in there if type(entry.event) in apply]
        for function, together in groupby(mine, key=lambda entry: apply[type(entry.event)]):
            function(connection, past, list(together))


def digests(connection: Connection, read_models: Iterable[ReadModel]) -> dict[str, str]:
    """SHA-256 of each of their tables: name -> 64 hex digits over its rows, by primary key.

    Equal on SQLite and PostgreSQL, and however often it was rebuilt.
    """
    return {str(table.name): _digest(connection, table) for table in tables_of(read_models)}


def _digest(connection: Connection, table: Table) -> str:
    found = hashlib.sha256()
    query = select(table).order_by(*table.primary_key.columns)
    for row in connection.execute(query, execution_options={"yield_per": _DIGEST_ROWS}):
        found.update(_row_bytes(list(row)) + b"\n")
    return found.hexdigest()


def _row_bytes(row: list[object]) -> bytes:
    """The row's canonical bytes; of one that holds what we never store, bytes of no other row."""
    try:
        return canonical_bytes(row)
    except NotCanonical:
        return repr(row).encode("utf-8", "surrogatepass")


@contextmanager
def scratch(read_models: Sequence[ReadModel]) -> Iterator[Connection]:
    """A database with these read models, empty, and gone at the end: nobody waits for it."""
    engine = scratch_database()
    try:
        with engine.begin() as connection:
            METADATA.create_all(connection, tables=tables_of(read_models))
            yield connection
    finally:
        engine.dispose()
