"""The schema and the connections: migrated once, equal to the code, with the promises kept."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.database.engine import (
    SCHEMA_REVISION,
    create_database,
    migrate,
    migrations_directory,
    needs_migration,
    take_lock,
)
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerDamaged


def configuration() -> Config:
    return Config(str(migrations_directory().parent / "alembic.ini"))


def test_migrations_and_tables_agree(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", empty_database_url)
    command.upgrade(configuration(), "head")
    command.check(configuration())


def test_the_code_was_written_for_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [SCHEMA_REVISION]


def test_migrating_twice_is_harmless(empty_database_url: str) -> None:
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    assert needs_migration(engine)
    migrate(engine, 5)
    migrate(engine, 5)
    assert not needs_migration(engine)
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:  # stands in the way of the second migration
        connection.execute(text("CREATE TABLE predictions (position INTEGER)"))
        connection.commit()
    with pytest.raises(Exception, match="already exists"):
        migrate(engine, 5)
    with engine.connect() as connection:
        assert not engine.dialect.has_table(connection, "entries")
    engine.dispose()


def test_a_schema_of_a_later_version_is_refused(settings: Settings) -> None:
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(LedgerDamaged, match="schema of the ledger is '9999', unknown"):
        open_ledger(settings)
    engine.dispose()


def test_a_plain_postgresql_url_means_psycopg() -> None:
    settings = Settings()
    for url in ("postgresql://me@host/name", "postgres://me@host/name"):
        engine = create_database(url, settings)
        assert engine.driver == "psycopg"
    assert engine.url.host == "host"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_commits_to_the_disk_before_it_answers(ledger: Ledger) -> None:
    with ledger.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2: FULL


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_postgresql_commits_to_the_disk_whatever_the_database_is_set_to(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        connection.execute(text("SET synchronous_commit = off"))
        connection.commit()
        take_lock(connection, 1)
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == (
            "read committed"
        )


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_reader_cannot_write_and_leaves_no_trace_on_its_connection(ledger: Ledger) -> None:
    with (
        pytest.raises(Exception, match="read-only transaction"),
        ledger.connect() as connection,
    ):
        connection.execute(text("DELETE FROM models"))
    with ledger.writing() as connection:
        connection.execute(text("DELETE FROM models"))


def test_opening_a_migrated_ledger_imports_no_migration_tool(settings: Settings) -> None:
    open_ledger(settings).close()
    code = (
        "import sys; from app.settings import Settings;"
        "from app.projections.opening import open_ledger;"
        "open_ledger(Settings()).close();"
        "print([m for m in ('alembic', 'mako', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=settings.as_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
