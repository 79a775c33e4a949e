"""Whether SQLite stores what the columns say: it takes text for bytes when somebody's SQL gives it.

`UPDATE entries SET bytes = replace(bytes, 'a', 'b')` leaves text, which hashes to nothing sensible
and which no reader expects. PostgreSQL refuses such a value by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.database.read_only import may_read
from domain.errors import LedgerDamaged

# table, what names a row, column, SQLite's name of what must stand there
_COLUMNS: Final = (
    ("entries", "position", "bytes", "blob"),
    ("entries", "position", "leaf_hash", "blob"),
    ("artefacts", "sha256", "bytes", "blob"),
    ("payloads", "position", "salt", "blob"),
    ("payloads", "position", "bytes", "blob"),
    ("blocks", "position", "rows", "integer"),
    ("blocks", "position", "salts", "blob"),
    ("blocks", "position", "bytes", "blob"),
    ("row_ids", "position", "id", "blob"),
    ("row_ids", "position", "position", "integer"),
    ("row_ids", "position", "row", "integer"),
    ("tiles", "number", "root", "blob"),
    ("tiles", "number", "bytes", "blob"),
    ("checkpoints", "size", "root", "blob"),
    ("checkpoints", "size", "note", "text"),
    ("ledger_head", "id", "size", "integer"),
    ("ledger_head", "id", "frontier", "blob"),
)
_STRANGE: Final = (
    'SELECT "{key}", typeof("{column}") FROM {table} WHERE typeof("{column}") <> \'{type}\'{only}'
    ' ORDER BY "{key}" LIMIT 1'
)
# no such table or column; text that is no UTF-8 (SQLite's words, PostgreSQL's codes)
_UNREADABLE: Final = ("no such table", "no such column", "Could not decode")
_UNREADABLE_CODES: Final = ("42P01", "42703")


def check_storage(connection: Connection, tables: Set[str], *, entries: bool = True) -> None:
    """Refuse values of another kind than their columns hold.

    Args:
        connection: to look with.
        tables: the ledger's; an older schema has fewer.
        entries: whether to look at all of them, which takes a scan; no, for who looks at each
            anyway: then only at those that say what was erased, which are read first.

    Raises:
        LedgerDamaged: there is one; the message names the first, by position if it has one.
    """
    if connection.dialect.name != "sqlite":
        return
    for table, key, column, type_ in _COLUMNS:
        if table not in tables:
            continue
        only = " AND stream = 'ledger'" if table == "entries" and not entries else ""
        statement = _STRANGE.format(table=table, key=key, column=column, type=type_, only=only)
        row = connection.exec_driver_sql(statement).one_or_none()
        if row is not None:
            raise LedgerDamaged(
                f"{key} {row[0]}: column {column!r} of {table!r}: expected {type_}; found {row[1]}."
            )


@contextmanager
def unreadable_is_damage() -> Iterator[None]:
    """Turn the database's words for "that is not there" or "no text" into damage.

    Raises:
        CannotJudge: this login may not read what must be read.
        LedgerDamaged: a table or column is gone, or text cannot be read.
    """
    try:
        with may_read():
            yield
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        code = getattr(error.orig, "sqlstate", None)
        if code in _UNREADABLE_CODES or any(words in said for words in _UNREADABLE):
            raise LedgerDamaged(
                f"the database cannot be read: {said}. Stop writing; compare with a back-up."
            ) from error
        raise
