"""The schema of the ledger's own tables: whether it is the newest, and the way there.

Alembic runs in a process of its own, so a service that made its database costs no more than one
that found it. Migrations know nothing of `app`; they are told the connection.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, cast

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import busy_is_refused, create_database
from app.database.locks import take_lock
from app.database.private_files import keep_private
from app.database.rows_file import LEDGER_SCHEMA, is_of_rows
from app.settings import Settings
from domain.errors import LedgerBusy, LedgerDamaged, LedgerUnwritable, WhyledgerError

if TYPE_CHECKING:
    import psycopg

SCHEMA_REVISION: Final = "0011"  # the newest migration this code was written for
_NOT_ALLOWED: Final = "42501"  # PostgreSQL: insufficient_privilege
_ENDS_WITHIN_SECONDS: Final = 3600.0  # the longest took seconds; what takes an hour hangs
_REFUSED: Final = 20  # exit code: one of our errors stands on stdout, as JSON
_SAID: Final = 500  # characters of what a migration that failed said last
_ERROR: Final = re.compile(r"[\w.]+(Error|Exception|Interrupt)\b")
_OURS: Final = "WHYLEDGER_"
_LOG: Final = logging.getLogger("whyledger.ledger")


class CannotJudge(WhyledgerError):
    """Whether the ledger is whole cannot be said by this version, or by this login."""

    code: ClassVar[str] = "cannot-judge"


def migrate(engine: Engine, seconds: float, *, ends_within: float = _ENDS_WITHIN_SECONDS) -> None:
    """Bring the schema to the newest migration; harmless when it is there, and when others do it.

    Raises:
        LedgerBusy: another writer held the ledger for `seconds`, this login may not migrate, or it
            has not ended within so many seconds, whatever the database does.
        CannotJudge: the schema is newer than this code.
        RuntimeError: a migration failed, and nothing of it was kept.
    """
    with busy_is_refused(seconds):
        if not needs_migration(engine):
            return
    url = engine.url.render_as_string(hide_password=False)
    asked = {"WHYLEDGER_DATABASE_URL": url, "WHYLEDGER_BUSY_TIMEOUT_SECONDS": str(seconds)}
    others = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "app.database.migrating"],
            env=others | asked,  # settings that are none of its business must not stop it
            start_new_session=True,  # Ctrl-C ends who waits; one short transaction ends by itself
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=ends_within,
        )
    except subprocess.TimeoutExpired as late:
        raise LedgerBusy(
            f"the migration of the ledger did not end within {ends_within:g} s; nothing was kept. "
            "See that its database answers, and start again."
        ) from late
    if done.returncode == _REFUSED:
        refusal = json.loads(done.stdout)
        kinds = {
            kind.code: kind for kind in (LedgerBusy, LedgerUnwritable, LedgerDamaged, CannotJudge)
        }
        raise kinds[refusal["code"]](refusal["message"])
    if done.returncode:
        raise RuntimeError(f"the migration failed, nothing was kept: {_what_failed(done.stderr)}")
    if done.stderr:
        _LOG.warning("%s", done.stderr.strip())


def _what_failed(said: str) -> str:
    """The line of a trace that names the error; the last line, where it is no trace."""
    lines = [line for line in said.splitlines() if line.strip()] or ["it said nothing"]
    named = [line for line in lines if _ERROR.match(line)]
    return (named or lines)[-1][:_SAID]


def needs_migration(engine: Engine) -> bool:
    """Whether the schema is not the one this code was written for."""
    with engine.connect() as connection:
        return schema_revision(connection) != SCHEMA_REVISION


def has_schema(settings: Settings) -> bool:
    """Whether the database of these settings holds a ledger's tables, of whatever revision.

    Raises:
        LedgerBusy: it is in use or out of reach.
        LedgerDamaged: the file is no database.
    """
    engine = create_database(settings.ledger_url, settings)
    try:
        with busy_is_refused(settings.busy_timeout_seconds), engine.connect() as connection:
            tables = inspect(connection)
            return tables.has_table("alembic_version") or tables.has_table("entries")
    finally:
        engine.dispose()


def migrations_directory() -> Path:
    """Where the migrations stand, in a checkout or installed."""
    found = importlib.util.find_spec("migrations")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("the package 'migrations' is not installed; install it with app")
    return Path(found.submodule_search_locations[0])


def upgrade(engine: Engine, seconds: float, revision: str = "head") -> None:
    """As `migrate`, in this process and up to a revision: all of it in one transaction.

    Raises:
        LedgerBusy: another writer held the ledger for `seconds`, or this login may not migrate.
        CannotJudge: the schema is newer than this code.
    """
    with busy_is_refused(seconds), engine.connect() as connection:
        take_lock(connection, seconds)
        if schema_revision(connection) != SCHEMA_REVISION:  # somebody may have done it meanwhile
            _run(connection, revision)
        connection.commit()


def _run(connection: Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - never in a process that serves
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        said = cast("psycopg.Error", error.orig).diag
        remedy = said.message_hint or "Run `alembic upgrade head` as the tables' owner"
        raise LedgerBusy(
            f"the schema of the ledger is not {SCHEMA_REVISION!r}, and this login may not change "
            f"it ({said.message_primary}). {remedy}, then start again."
        ) from error
    except CommandError as error:
        raise CannotJudge(
            f"the schema of the ledger is {schema_revision(connection)!r}, unknown to this version "
            f"(newest known: {SCHEMA_REVISION!r}). Use the version that made it, or a newer one."
        ) from error


def schema_revision(connection: Connection) -> str | None:
    """The revision of the schema, as the database says it; None where it says none.

    Raises:
        LedgerDamaged: it says several.
    """
    schema = LEDGER_SCHEMA if is_of_rows(connection) else None
    if not inspect(connection).has_table("alembic_version", schema=schema):
        return None
    found = list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
    if len(found) > 1:
        rows = ", ".join(map(repr, sorted(found)))
        raise LedgerDamaged(
            f"alembic_version holds {len(found)} rows, {rows}, where "
            "one says the schema's revision. Delete those that are not this database's, and try "
            "again."
        )
    return found[0] if found else None


def main() -> int:
    """Migrate the database of WHYLEDGER_DATABASE_URL; what refuses it stands on stdout."""
    settings = Settings()
    engine = create_database(settings.ledger_url, settings)
    try:
        upgrade(engine, settings.busy_timeout_seconds)
    except WhyledgerError as error:
        sys.stdout.write(json.dumps({"code": error.code, "message": error.message}))
        return _REFUSED
    finally:
        engine.dispose()
    return 0


if __name__ == "__main__":
    keep_private()
    sys.exit(main())
