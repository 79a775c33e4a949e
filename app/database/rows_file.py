"""SQLite's second file: what follows from the ledger row by row, in transactions of its own.

Whoever reads the ledger sees the file beside it, read-only, as a schema of its own: so whoever
appends takes no lock of it. Whoever folds opens it as the main database, with the ledger read-only
beside it, and takes no lock of the ledger's. A commit does not wait for the disk: after a crash the
file is older, never torn. It may be removed at any time, by whoever finds that it is damaged;
others then look at the file that stands there now.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DisconnectionError

from app.database.closed_for_good import ClosedForGood
from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA, sqlite_arguments
from app.settings import Settings

LEDGER_SCHEMA: Final = "ledger"  # of a connection of the file
_ENDS: Final = ("-wal", "-shm", "")  # the file itself last: without it its log would be another's
_STANDS: Final = "whyledger_rows"  # in a connection's `info`: which file it has open
ROWS_MARK: Final = ".rows-"
_OVERFLOW: Final = 5  # connections beside the one that is kept open

Identity = tuple[int, int]  # of a file: device and inode


def rows_file(ledger: Path, version: str) -> Path:
    """Where the rows of this version stand, for the ledger in that file."""
    return ledger.with_name(f"{ledger.name}{ROWS_MARK}{version}")


def rows_files(ledger: Path) -> list[Path]:
    """Those of all versions that stand beside the ledger, without their logs."""
    found = ledger.parent.glob(f"{ledger.name}{ROWS_MARK}*")
    return sorted(path for path in found if not path.name.endswith(("-wal", "-shm", "-journal")))


def written_at(file: Path) -> float:
    """When somebody last wrote it, or its log; seconds since 1970, 0 when it is gone."""
    latest = 0.0
    for each in (file, file.with_name(f"{file.name}-wal")):
        with suppress(FileNotFoundError):
            latest = max(latest, each.stat().st_mtime)
    return latest


def is_whole(file: Path) -> bool:
    """Whether SQLite finds all of it as it wrote it; one that is gone is."""
    if not file.exists():
        return True
    try:
        with closing(sqlite3.connect(_read_only(file), uri=True)) as raw:
            return raw.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]
    except sqlite3.DatabaseError:
        return False


def remove(file: Path) -> None:
    """Remove it and its logs; whoever has it open goes on with what nobody else sees."""
    for end in _ENDS:
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).unlink()


def show_rows(engine: Engine, file: Path) -> None:
    """Let every connection of an engine of the ledger see the file, as it stands at each use."""
    place = _read_only(file)

    @event.listens_for(engine, "checkout")
    def look(raw: sqlite3.Connection, record: Any, _proxy: object) -> None:
        stands = _identity(file)
        if record.info.get(_STANDS) == stands:
            return
        with suppress(sqlite3.OperationalError):  # there was none
            raw.execute(f"DETACH DATABASE {ROWS_SCHEMA}")
        record.info[_STANDS] = stands
        if stands is None:
            return
        try:
            raw.execute(f"ATTACH DATABASE ? AS {ROWS_SCHEMA}", (place,))
            raw.execute(f"PRAGMA {ROWS_SCHEMA}.schema_version")
        except sqlite3.DatabaseError:  # damaged: whoever folds finds the same, and removes it
            with suppress(sqlite3.OperationalError):
                raw.execute(f"DETACH DATABASE {ROWS_SCHEMA}")


def sees_rows(connection: Connection) -> bool:
    """Whether this connection of the ledger sees a file of rows."""
    listed = connection.exec_driver_sql("PRAGMA database_list")
    return any(name == ROWS_SCHEMA for _, name, _ in listed)


def is_of_rows(connection: Connection) -> bool:
    """Whether rows are folded on this connection, which looks at the ledger beside them."""
    return bool(connection.info.get(LEDGER_SCHEMA))


def rows_database(url: str, settings: Settings, version: str) -> Engine:
    """The engine for folding the rows of a version, with the ledger at `url` beside them.

    It makes the file when it connects.
    """
    ledger = ledger_file(url)
    file = rows_file(ledger, version)
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        connect_args=sqlite_arguments(settings),
        hide_parameters=True,  # an error must not show a person's row
        poolclass=ClosedForGood,
        pool_size=1,
        max_overflow=_OVERFLOW,
        pool_timeout=settings.busy_timeout_seconds,
        execution_options={"schema_translate_map": {READ_MODELS_SCHEMA: None, ROWS_SCHEMA: None}},
    )

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, record: Any) -> None:
        raw.isolation_level = None  # the driver begins nothing on its own
        if raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")
        raw.execute("PRAGMA secure_delete = ON")
        raw.execute("PRAGMA trusted_schema = OFF")
        raw.execute(f"ATTACH DATABASE ? AS {LEDGER_SCHEMA}", (_read_only(ledger),))
        record.info[LEDGER_SCHEMA] = True
        record.info[_STANDS] = _identity(file)

    @event.listens_for(engine, "checkout")
    def look(_raw: object, record: Any, _proxy: object) -> None:
        if record.info[_STANDS] != _identity(file):
            raise DisconnectionError("the file was removed")  # the pool opens the one that stands

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def ledger_file(url: str) -> Path:
    """The file of a ledger on SQLite."""
    return Path(make_url(url).database or "")


def _identity(file: Path) -> Identity | None:
    try:
        stands = file.stat()
    except OSError:
        return None
    return stands.st_dev, stands.st_ino


def _read_only(file: Path) -> str:
    return f"file:{quote(str(file.absolute()))}?mode=ro"
