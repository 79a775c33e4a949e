"""Rewrite the database's files, so that nothing deleted is left in pages that are free."""

from __future__ import annotations

import sqlite3
from math import ceil
from typing import Final

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from app.database.engine import busy_is_refused
from app.database.roles import OWNER

_TABLES: Final = ("payloads", "artefacts", "predictions", "labels")  # where erased data stood
_MAY: Final = text(
    "SELECT bool_and(pg_has_role(current_user, relowner, 'USAGE')) FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:tables)"
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
            ((busy, _, _),) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
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
        if not connection.execute(_MAY, {"tables": list(_TABLES)}).scalar_one():
            return (
                "the tables were not rewritten: let a member of "
                f"{OWNER} run VACUUM FULL {', '.join(_TABLES)}"
            )
        for table in _TABLES:
            connection.execute(text(f"VACUUM FULL {table}"))
    return None
