"""Scratch databases: SQLite files without a name, which end with whoever made them.

What does not fit in a few MiB of memory goes to the disk, to where the system keeps files of the
moment (`SQLITE_TMPDIR`, `TMPDIR`, /var/tmp). Nobody else sees it, and who is killed leaves none.
One kind has a name, for who goes on with what another was killed over.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA

_CACHE_KIB: Final = 8192  # held in memory; what is more is on the disk

_KEPT: Final = (
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",  # so it is older then, and never torn
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = FILE",
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    "BEGIN IMMEDIATE",
    "COMMIT",
)


def scratch_file(*tables: str) -> sqlite3.Connection:
    """A connection to a new one, for one thread; closed, it is gone. Nothing in it is undone.

    Another thread may close it: that one which collects what nobody holds any more. With `tables`,
    the statements that make them, all that is written is one transaction: a row for itself would
    begin one each time, which costs more than the row.
    """
    # The driver begins nothing on its own.
    file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA temp_store = FILE")  # what is sorted, too
    file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    for table in tables:
        file.execute(table)
    if tables:
        file.execute("BEGIN")
    return file


def scratch_database() -> Engine:
    """As `scratch_file`, for tables of ours: an engine with one connection, for one thread."""
    return _one_connection(scratch_file)


def kept_database(path: Path) -> Engine:
    """As `scratch_database`, in a file that is left to who goes on with it; for one at a time.

    What is committed stays when the process is killed; of what was last, some may be gone when the
    machine is. To connect raises DBAPIError: another process has it, or it is no database.
    """

    def opened() -> sqlite3.Connection:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        file = sqlite3.connect(path, isolation_level=None, timeout=0.0)
        try:
            for statement in _KEPT:
                file.execute(statement)
        except sqlite3.Error:
            file.close()
            raise
        return file

    return _one_connection(opened)


def _one_connection(opened: Callable[[], sqlite3.Connection]) -> Engine:
    engine = create_engine(
        "sqlite://",
        creator=opened,
        poolclass=StaticPool,
        hide_parameters=True,  # an error must not show a person's row
        execution_options={"schema_translate_map": {READ_MODELS_SCHEMA: None, ROWS_SCHEMA: None}},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
