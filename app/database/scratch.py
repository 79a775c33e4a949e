"""Scratch databases: SQLite files without a name, which end with whoever made them.

What does not fit in a few MiB of memory goes to the disk, to where the system keeps files of the
moment (`SQLITE_TMPDIR`, `TMPDIR`, /var/tmp). Nobody else sees it, and who is killed leaves none.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event

from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA

_CACHE_KIB: Final = 8192  # held in memory; what is more is on the disk


def scratch_file() -> sqlite3.Connection:
    """A connection to a new one, for one thread; closed, it is gone. Nothing in it is undone."""
    file = sqlite3.connect("", isolation_level=None)  # the driver begins nothing on its own
    file.execute("PRAGMA journal_mode = OFF")
    file.execute("PRAGMA synchronous = OFF")
    file.execute("PRAGMA temp_store = FILE")  # what is sorted, too
    file.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return file


def scratch_database() -> Engine:
    """As `scratch_file`, for tables of ours: an engine with one connection, for one thread."""
    engine = create_engine(
        "sqlite://",
        creator=scratch_file,
        poolclass=StaticPool,
        hide_parameters=True,  # an error must not show a person's row
        execution_options={"schema_translate_map": {READ_MODELS_SCHEMA: None, ROWS_SCHEMA: None}},
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine
