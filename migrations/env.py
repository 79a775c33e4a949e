"""Run migrations: inside one transaction that holds the ledger's lock, on either database.

Nothing of `app` is used: a caller that has a connection gives it as the attribute `connection`,
and holds the lock. The command line (`alembic upgrade head`) is told the database by the same
variables as the service.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import context

LOCK_KEY: Final = int.from_bytes(b"whyledgr", signed=True)  # that of every writer, on PostgreSQL


def run(connection: sa.Connection) -> None:
    context.configure(
        connection=connection,
        transactional_ddl=True,  # SQLite too: all of a migration, or nothing of it
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    engine = sa.create_engine(database())
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", prepare_sqlite)
        sa.event.listen(engine, "begin", begin_immediate)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        run(connection)
    engine.dispose()


def database() -> sa.URL:
    """The database of WHYLEDGER_DATABASE_URL, or the file in WHYLEDGER_STATE_DIR."""
    state = os.environ.get("WHYLEDGER_STATE_DIR", "state")
    url = sa.make_url(os.environ.get("WHYLEDGER_DATABASE_URL") or f"sqlite:///{state}/ledger.db")
    if url.get_backend_name() in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    return url


def prepare_sqlite(raw: sqlite3.Connection, _record: object) -> None:
    raw.isolation_level = None  # the driver begins nothing on its own
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")


def begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


main()
