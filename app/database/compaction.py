"""Rewrite the database's files, so that nothing deleted is left in pages that are free."""

from __future__ import annotations

import sqlite3
from math import ceil
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from app.database.engine import READ_MODELS_SCHEMA, busy_is_refused
from app.database.roles import OWNER

# Where erased data stood, and whether this login may rewrite it.
_TABLES: Final = text(
    "SELECT format('%I.%I', nspname, relname), pg_has_role(current_user, relowner, 'USAGE')"
    " FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
    " WHERE relkind IN ('r', 'p') AND (nspname = :read_models"
    " OR nspname = current_schema() AND relname IN ('payloads', 'blocks', 'artefacts')) ORDER BY 1"
)


def compact(engine: Engine, seconds: float) -> str | None:
    """Rewrite the file (SQLite) or the tables that held erased data (PostgreSQL).

    Takes time and room in proportion to what is kept, and writers wait meanwhile.

    Returns:
        None when it is done; otherwise what is left to do, and by whom.

    Raises:
        LedgerBusy: the database was in use for `seconds`, or has no room.
    """
    with busy_is_refused(seconds):
        return _sqlite(engine, seconds) if engine.dialect.name == "sqlite" else _postgresql(engine)


def _sqlite(engine: Engine, seconds: float) -> str | None:
    connection = engine.raw_connection()
    try:
        raw = connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - narrows for the checker
        raw.execute(f"PRAGMA busy_timeout = {ceil(seconds * 1000)}")
        raw.execute("PRAGMA secure_delete = ON")
        try:
            raw.execute("VACUUM")
            # The write-ahead log holds old pages until it is cut.
            ((busy, _, _),) = raw.execute("PRAGMA main.wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.OperationalError as error:
            raise OperationalError("VACUUM", None, error) from error
    finally:
        connection.invalidate()  # what was set here is not for others
    if busy:
        return (
            f"others read the ledger for {seconds:g} s, so its write-ahead log still holds what "
            "was erased: run this again, or end every process that has the ledger open"
        )
    return None


def _postgresql(engine: Engine) -> str | None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        rows = connection.execute(_TABLES, {"read_models": READ_MODELS_SCHEMA}).all()
        for table, may in rows:
            if may:
                connection.execute(text(f"VACUUM FULL {table}"))
    left = [table for table, may in rows if not may]
    if not left:
        return None
    return (
        f"not every table was rewritten: let a member of {OWNER} run VACUUM FULL {', '.join(left)}"
    )
