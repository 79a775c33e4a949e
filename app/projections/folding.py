"""Folding entries into read models, and what names what came out: a digest of each.

One function folds, whether an append does it, a start, or a rebuild: so a rebuild is a proof that
they agree. However the entries are cut into batches, the read models come out the same, and each
comes out the same alone: a projection looks at its own table and at the ledger before the entry,
and at nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Table, select

from app.database.scratch import scratch_database
from app.ledger.past import Past
from app.projections.read_model import METADATA, Apply, ReadModel, tables_of
from domain.blocks.lines import lines_of_columns
from domain.canonical import canonical_bytes
from domain.errors import NotCanonical
from domain.events.envelope import Recorded
from domain.events.expansion import expand

PAGE_ENTRIES: Final = 500  # read, folded and forgotten at once
_DIGEST_ROWS_MAX: Final = 1000  # fetched at once,
_DIGEST_BYTES: Final = 2**18  # as far as they have no more than this: a cycle's row has 30 KB
_FIRST_ROWS: Final = 16  # while it is not known how long they are


def fold(
    read_models: Iterable[ReadModel],
    connection: Connection,
    past: Past,
    entries: Sequence[Recorded],
) -> None:
    """Fold `entries`, in order of position, into each read model.

    An entry of many rows is given to a function of its own type whole, else as its plain events.
    What is erased, and what nobody can read, is passed over.

    Entries that one function folds are given to it together: many requests share a transaction,
    and one statement a table serves them all.
    """
    for read_model in read_models:
        apply = read_model.apply
        mine = list(_asked_for(apply, entries))
        for function, together in groupby(mine, key=lambda entry: apply[type(entry.event)]):
            function(connection, past, list(together))


def _asked_for(apply: Mapping[Any, Apply], entries: Iterable[Recorded]) -> Iterator[Recorded]:
    plain = {kind.type for kind in apply}
    for entry in entries:
        if type(entry.event) in apply:
            yield entry
        elif entry.rows_apart is not None and entry.rows_apart.layout.plain in plain:
            yield from (each for each in expand(entry) if type(each.event) in apply)


def digests(connection: Connection, read_models: Iterable[ReadModel]) -> dict[str, str]:
    """SHA-256 of each of their tables: name -> 64 hex digits over its rows, by primary key.

    Equal on SQLite and PostgreSQL, and however often it was rebuilt.
    """
    return {str(table.name): _digest(connection, table) for table in tables_of(read_models)}


def _digest(connection: Connection, table: Table) -> str:
    found = hashlib.sha256()
    query = select(table).order_by(*table.primary_key.columns)
    in_bytes = [at for at, each in enumerate(table.columns) if isinstance(each.type, LargeBinary)]
    at_once = _FIRST_ROWS
    with connection.execute(query, execution_options={"stream_results": True}) as rows:
        while page := rows.fetchmany(at_once):
            columns: list[Sequence[object]] = [*zip(*page, strict=True)]
            for at in in_bytes:
                columns[at] = [_in_json(value) for value in columns[at]]
            lines = _lines(columns)
            found.update(lines + b"\n")
            fitting = _DIGEST_BYTES * len(page) // len(lines)
            at_once = max(1, min(fitting, 2 * at_once, _DIGEST_ROWS_MAX))
    return found.hexdigest()


def _in_json(value: object) -> object:
    """Text in place of bytes, which no other value of their column is."""
    return f"bytes {value.hex()}" if type(value) is bytes else value


def _lines(columns: Sequence[Sequence[object]]) -> bytes:
    """The canonical bytes of each row; of one that holds what we never store, bytes of no other."""
    try:
        return lines_of_columns(columns)
    except (NotCanonical, ValueError):
        return b"\n".join(_row_bytes([*row]) for row in zip(*columns, strict=True))


def _row_bytes(row: list[object]) -> bytes:
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
