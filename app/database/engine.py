"""The database behind the ledger: connections, statements, and what its errors mean.

SQLite and PostgreSQL differ in this room and in the migrations, nowhere else.
"""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.closed_for_good import ClosedForGood
from app.database.error_meaning import Meaning, meaning_of
from app.database.storage import StorageFailed
from app.settings import Settings
from domain.errors import LedgerBusy, LedgerUnwritable
from domain.stored_damage import StoredDamage

READ_MODELS_SCHEMA: Final = "read_models"
ROWS_SCHEMA: Final = "rows_apart"  # of those of rows; on PostgreSQL they stand with the others
_POOL_SIZE: Final = 5  # connections kept open
_POOL_OVERFLOW: Final = 45  # more than FastAPI has threads (40), opened and closed as needed
_REMEDY_UNWRITABLE: Final = {  # whether it is a file -> what to do when it takes none
    True: "Give this process the right to write the file, its -wal and -shm and their directory "
    "(only `whyledger verify`, `repair --plan` and `export` do without)",
    False: "Let WHYLEDGER_DATABASE_URL name the server that takes writes, no stand-by",
}
_ROWS_PER_INSERT_MAX: Final = 64  # more values in one statement are parsed slower than inserted


def create_database(url: str, settings: Settings, *, answers_within: float | None = None) -> Engine:
    """The engine for `url`; connects to nothing yet, but makes SQLite's directory.

    `postgresql://` and `postgres://` mean psycopg 3. Every transaction begins explicitly: plain
    for readers, through `locks.take_lock` for writers. Tables of the schema `read_models` stand in
    that schema on PostgreSQL, and beside the ledger's own on SQLite, which has no schemas.

    Args:
        url: of the database.
        settings: of the process.
        answers_within: seconds that PostgreSQL may take for one answer, and a second more; then
            it is taken to hang. None: for work that may take long, as long as the server answers
            others within `answer_seconds_max` of the settings.

    Raises:
        StorageFailed: SQLite's directory cannot be made.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        arguments: dict[str, Any] = {"application_name": "whyledger"}
        options: dict[str, Any] = {
            "isolation_level": "READ COMMITTED",
            "execution_options": {"schema_translate_map": {ROWS_SCHEMA: READ_MODELS_SCHEMA}},
        }
    else:
        _make_directory(Path(parsed.database or "").parent)
        arguments = sqlite_arguments(settings)
        options = {"execution_options": {"schema_translate_map": {READ_MODELS_SCHEMA: None}}}
    engine = create_engine(
        parsed,
        connect_args=arguments,
        hide_parameters=True,  # an error must not show a person's row
        poolclass=ClosedForGood,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=settings.busy_timeout_seconds,
        **options,
    )
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine)
    else:
        _begin_as_the_server_does(engine)
        end_waits(engine, answers_within, settings)
    return engine


def sqlite_arguments(settings: Settings) -> dict[str, Any]:
    """What SQLite's driver is given for each connection; other files may be attached as URIs."""
    seconds = settings.busy_timeout_seconds
    return {"timeout": seconds, "check_same_thread": False, "uri": True}


@contextmanager
def busy_is_refused(seconds: float) -> Iterator[None]:
    """Turn the database's words for "in use", "out of reach" and "damaged" into our errors.

    Raises:
        LedgerBusy: in use by another writer, out of reach, or not for this login.
        LedgerUnwritable: without room on its disk, or without writes.
        StoredDamage: its files are not what it wrote.
    """
    try:
        yield
    except PoolTimeout as error:
        raise LedgerBusy(
            f"no connection to the ledger came free within {seconds:g} s. Try again."
        ) from error
    except DBAPIError as error:
        refusal = _refusal(error, seconds)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: DBAPIError, seconds: float) -> LedgerBusy | StoredDamage | None:
    """What it means in our words; None when it is a mistake of ours."""
    said = " ".join(str(error.orig).split())
    match meaning_of(error):
        case Meaning.BUSY:
            return LedgerBusy(
                f"the ledger was in use by another writer for {seconds:g} s; nothing was kept. "
                "Try again."
            )
        case Meaning.UNREACHABLE:
            return _unreachable(said)
        case Meaning.NO_ROOM:
            return _cannot_write(said, "Make room on its disk, or mend it")
        case Meaning.READ_ONLY:
            return _cannot_write(said, _REMEDY_UNWRITABLE[isinstance(error.orig, sqlite3.Error)])
        case Meaning.NOT_ALLOWED:
            return LedgerBusy(
                f"this login may not use the ledger's database: {said}. Nothing was acknowledged. "
                "Let its owner run `python -m app.database.roles`, serve as a member of "
                "whyledger_app, and try again with the same ids."
            )
        case Meaning.DAMAGED:
            file = isinstance(error.orig, sqlite3.Error)
            what = "file is no whole SQLite database" if file else "PostgreSQL is damaged"
            return StoredDamage(f"the ledger's {what}: {said}. Restore a back-up.")
        case None:
            return None


def in_plain_words(error: BaseException) -> str:
    """What failed, for a person: the database's own words, never the statement it was given."""
    found = error.orig if isinstance(error, DBAPIError) and error.orig else error
    said = " ".join(str(found).split())
    return f"{type(found).__name__}: {said}" if said else type(found).__name__


def fetch(
    connection: Connection, statement: str, values: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """The rows of a statement in the driver's own words, given straight to the driver.

    For the statements of every append and of every page: SQLAlchemy's way to each takes longer than
    the statement itself. It stays in charge of connections and transactions, and errors look like
    its.
    """
    rows: list[tuple[Any, ...]] = _driven(connection, statement, values).fetchall()
    return rows


def execute(connection: Connection, statement: str, values: Sequence[object] = ()) -> None:
    """As `fetch`, for a statement that gives no rows."""
    _driven(connection, statement, values)


def _driven(connection: Connection, statement: str, values: Sequence[object]) -> Any:
    if not connection.in_transaction():
        connection.begin()
    driver: Any = connection.connection.driver_connection
    dialect = connection.dialect
    assert dialect.dbapi is not None  # noqa: S101 - it is connected
    try:
        return driver.execute(statement, values)
    except dialect.dbapi.Error as error:
        raise DBAPIError.instance(
            statement, (), error, dialect.dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error


def insert_rows(connection: Connection, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert rows given as tuples in the order of the table's columns, many with one statement.

    `executemany` would let the interpreter's lock go at every row, and a busy event loop gives it
    back only after milliseconds. Numbers of rows are powers of two, so that few statements exist
    and the drivers keep them prepared.
    """
    start = 0
    while start < len(rows):
        count = min(_ROWS_PER_INSERT_MAX, 1 << (len(rows) - start).bit_length() - 1)
        values = tuple(chain.from_iterable(rows[start : start + count]))
        connection.exec_driver_sql(_insert_statement(table, connection.dialect.name, count), values)
        start += count


def driver_name(table: Table, dialect: str) -> str:
    """A table's name in a statement of the driver's own, where what stands in it is written."""
    if dialect == "sqlite" or table.schema is None:
        return table.name
    return f"{READ_MODELS_SCHEMA}.{table.name}"


@cache
def _insert_statement(table: Table, dialect: str, rows: int) -> str:
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    marks = ", ".join(["?" if dialect == "sqlite" else "%s"] * len(table.columns))
    values = ", ".join([f"({marks})"] * rows)
    name = driver_name(table, dialect)
    return f"INSERT INTO {name} ({columns}) VALUES {values}"  # noqa: S608 - our own names


def end_waits(engine: Engine, answers_within: float | None, settings: Settings) -> None:
    """Bound the waits of an engine for PostgreSQL; see `create_database`."""
    # Here, for they need psycopg, which SQLite never does.
    from app.database.attending import Attending  # noqa: PLC0415
    from app.database.hanging import Hanging  # noqa: PLC0415

    bound: Attending | Hanging
    if answers_within is None:
        bound = Attending(settings.answer_seconds_max)
    else:
        bound = Hanging(answers_within)

    @event.listens_for(engine, "do_connect")
    def connect(
        _dialect: object, _record: object, arguments: list[Any], parameters: dict[str, Any]
    ) -> Any:
        return bound.connect(*arguments, **parameters)


def _begin_as_the_server_does(engine: Engine) -> None:
    """A connection that only read says nothing of writing when it is used again. SQLAlchemy lets it
    ask for a transaction that writes, and a stand-by does not even begin one."""

    @event.listens_for(engine, "checkin")
    def forget(raw: Any, _record: object) -> None:
        if raw is not None and not raw.closed and raw.read_only is False:
            raw.read_only = None


def _configure_sqlite(engine: Engine) -> None:
    """WAL and FULL: readers never wait, and a commit is on the disk before it is acknowledged."""
    file = Path(engine.url.database or "")

    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # the driver begins nothing on its own
        _let_logs_be_written(file)
        if raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")
        raw.execute("PRAGMA trusted_schema = OFF")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql(options.get("sqlite_begin", "BEGIN"))


def _cannot_write(reason: str, remedy: str) -> LedgerUnwritable:
    return LedgerUnwritable(
        f"the ledger's database cannot write: {reason}. Nothing was acknowledged. {remedy}, and "
        "try again with the same ids; no restart is needed."
    )


def _unreachable(reason: str) -> LedgerBusy:
    return LedgerBusy(
        f"the ledger's database cannot be reached: {reason}. Start it, or "
        "correct WHYLEDGER_DATABASE_URL, and try again with the same ids."
    )


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFailed.of(error) from error


def _let_logs_be_written(file: Path) -> None:
    """SQLite gives its logs the mode of the file. Those of a file that could only be read stay so
    when it can be written again, and would refuse every write."""
    for end in ("-wal", "-shm"):
        log = file.with_name(file.name + end)
        with suppress(OSError):
            mode = log.lstat().st_mode
            if (
                stat.S_ISREG(mode)
                and not mode & stat.S_IWUSR
                and file.stat().st_mode & stat.S_IWUSR
            ):
                log.chmod(stat.S_IMODE(mode) | stat.S_IWUSR)
