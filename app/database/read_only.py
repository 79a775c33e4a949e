"""A database that is only looked at: nothing in it is written, made or migrated.

SQLite in WAL mode wants to make an index beside the file; where it may not, and nothing waits in a
log, the file is read as one that nobody changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA, end_waits
from app.database.migrating import SCHEMA_REVISION, CannotJudge, schema_revision
from app.settings import Settings
from domain.errors import LedgerDamaged, LedgerUnwritable
from domain.faults import shown

_TAKES_WRITES: Final = text(
    "SELECT NOT pg_is_in_recovery() AND current_setting('default_transaction_read_only') = 'off'"
)
_NOT_ALLOWED: Final = "42501"  # PostgreSQL: insufficient_privilege


def look_at_database(url: str, settings: Settings) -> Engine:
    """The engine for `url`, which only reads; it connects to nothing yet.

    Writing through it is refused by the database, whatever rights login and file have.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        looking = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={"application_name": "whyledger"},
            execution_options={
                "postgresql_readonly": True,
                "schema_translate_map": {ROWS_SCHEMA: READ_MODELS_SCHEMA},
            },
            isolation_level="REPEATABLE READ",
            hide_parameters=True,
        )
        end_waits(looking, None, settings)
        return looking
    path, seconds = Path(parsed.database or ""), settings.busy_timeout_seconds
    engine = create_engine(
        parsed,
        creator=lambda: _connect(path, seconds),
        hide_parameters=True,
        execution_options={"schema_translate_map": {READ_MODELS_SCHEMA: None}},
    )
    event.listen(engine, "begin", _begin)
    return engine


def takes_writes(connection: Connection) -> bool:
    """Whether PostgreSQL does: a stand-by does not, nor for who is set to read only.

    A file of SQLite is asked by writing.
    """
    if connection.dialect.name == "sqlite":
        return True
    return bool(connection.execute(_TAKES_WRITES).scalar_one())


def refuse_to_serve_read_only(connection: Connection) -> None:
    """Refuse a database that can only be looked at to who must record what he answers.

    A stand-by has locks of its own: beside a service of the server that it follows another one
    would sign, and run the same cycle.

    Raises:
        LedgerUnwritable: it takes no writes.
    """
    if not takes_writes(connection):
        raise LedgerUnwritable(
            "the ledger's database takes no writes: it is a stand-by (`pg_is_in_recovery`), or "
            "`default_transaction_read_only` is 'on' for this login. A service records what it "
            "answers. Let WHYLEDGER_DATABASE_URL name the server that takes writes, and start it "
            "again. Whoever only looks needs no service: `whyledger state`, `decisions`, `why`, "
            "`changes`, `export` and `verify` read this one."
        )


def judged_revision(connection: Connection) -> str | None:
    """The revision of the schema, when this version knows it; None where there is no ledger.

    Raises:
        CannotJudge: it is newer than this version, or none that it knows.
        LedgerDamaged: there are entries, and no or several revisions.
    """
    with may_read():
        found = schema_revision(connection)
        if found is None and not inspect(connection).has_table("entries"):
            return None
    if found is None:
        raise LedgerDamaged(
            "the ledger does not say which revision its schema is of (alembic_version). Stop "
            "writing; restore a back-up and compare."
        )
    if not (len(found) == len(SCHEMA_REVISION) and found.isdecimal() and found <= SCHEMA_REVISION):
        raise CannotJudge(
            f"the ledger's schema is {shown(found)}, and this version knows those up to "
            f"{SCHEMA_REVISION!r}: whether it is whole cannot be judged. Use the version that "
            "made it, or a newer one."
        )
    return found


@contextmanager
def may_read() -> Iterator[None]:
    """Turn PostgreSQL's words for what this login may not read into ours.

    Raises:
        CannotJudge: it may not read what must be read.
    """
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        raise CannotJudge(
            "this login of the database may not read everything: "
            f"{' '.join(str(error.orig).split())}. Let its owner GRANT USAGE on the schema and "
            "SELECT on its tables, of read_models too, or let `verify` leave those out with "
            "--no-read-models."
        ) from error


def _connect(path: Path, seconds: float) -> sqlite3.Connection:
    place = f"file:{quote(str(path.absolute()))}"
    try:
        return _opened(f"{place}?mode=ro", seconds)
    except sqlite3.OperationalError as error:
        log = path.with_name(path.name + "-wal")
        unopened = error.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
        )
        if not unopened or not path.exists() or (log.exists() and log.stat().st_size):
            raise
        return _opened(f"{place}?immutable=1", seconds)


def _opened(place: str, seconds: float) -> sqlite3.Connection:
    raw = sqlite3.connect(place, uri=True, timeout=seconds, check_same_thread=False)
    try:
        raw.isolation_level = None  # the driver begins nothing on its own
        raw.execute("PRAGMA query_only = ON")
        raw.execute("PRAGMA trusted_schema = OFF")
        raw.execute("SELECT count(*) FROM sqlite_master")  # it opens the file now, not before
    except BaseException:
        raw.close()
        raise
    return raw


def _begin(connection: Connection) -> Any:
    connection.exec_driver_sql("BEGIN")
