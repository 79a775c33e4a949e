"""The schema of the ledger's tables: migrated once, beside the service, equal to the code."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from app.database.engine import create_database
from app.database.locks import take_lock
from app.database.migrating import (
    SCHEMA_REVISION,
    CannotJudge,
    migrate,
    migrations_directory,
    needs_migration,
)
from app.ledger.tables import METADATA
from app.ledger.tree import grow, read_head
from app.projections.folding import digests
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.runner import READ_MODELS
from app.proof.verify.guards import guard_breaks
from app.settings import Settings
from domain.canonical import leaf_hash
from domain.errors import LedgerBusy, LedgerDamaged
from tests.app.golden_story import place
from tests.app.test_golden_ledger import expected_of, lines_of, payloads_of
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS
from tests.repository import REPOSITORY

OLD = Path(__file__).parent / "revision_0006"


@pytest.fixture
def old_database_url(empty_database_url: str) -> str:
    return left_by_0006(empty_database_url)


def left_by_0006(url: str) -> str:
    """A new ledger, in this empty database, as the version before migration 0007 left it."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as raw:
            raw.executescript((OLD / "sqlite.sql").read_text())
    else:
        with psycopg.connect(url) as connection:
            connection.execute((OLD / "postgresql.sql").read_bytes())
    return url


def configuration() -> Config:
    """That of the command line, whose words can be read."""
    return Config(str(migrations_directory().parent / "alembic.ini"), stdout=StringIO())


def test_the_ledgers_tables_are_those_the_migrations_make(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", empty_database_url)
    command.upgrade(configuration(), "head")
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    ours = set(METADATA.tables)

    def is_ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in ours

    with engine.connect() as connection:
        options = {"compare_type": True, "include_object": is_ours}
        context = MigrationContext.configure(connection, opts=options)
        with warnings.catch_warnings():
            # SQLAlchemy reads that a check is NOT VALID in a form which it does not know itself.
            warnings.filterwarnings("ignore", "Can't validate argument 'dialect_options'")
            assert compare_metadata(context, METADATA) == []
        there = set(inspect(connection).get_table_names()) - {"read_model_positions"}
    assert there == ours | {"alembic_version"}
    assert not needs_migration(engine)
    engine.dispose()


def test_the_command_line_says_which_revision_a_database_has(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", database_url)
    said = configuration()
    command.current(said)
    assert isinstance(said.stdout, StringIO)
    assert said.stdout.getvalue() == f"{SCHEMA_REVISION} (head)\n"


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


def test_a_migration_that_hangs_is_given_up(empty_database_url: str) -> None:
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:
        take_lock(connection, 5)  # and nobody gives it back
        with pytest.raises(LedgerBusy, match=r"did not end within 0\.1 s; nothing was kept"):
            migrate(engine, HANGS_SECONDS, ends_within=0.1)
        connection.rollback()
    migrate(engine, 5)
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(empty_database_url: str) -> None:
    settings = Settings(database_url=empty_database_url)
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:  # stands in the way of the third migration
        connection.execute(text("CREATE TABLE tiles (level INTEGER)"))
        connection.commit()
    with pytest.raises(RuntimeError, match=r"nothing was kept: (.|\n)*already exists"):
        migrate(engine, 5)
    with engine.connect() as connection:
        assert not engine.dialect.has_table(connection, "entries")
    engine.dispose()


def test_a_schema_of_a_later_version_is_refused(settings: Settings) -> None:
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.commit()
    with pytest.raises(CannotJudge, match="schema of the ledger is '9999', unknown"):
        open_ledger(settings)
    engine.dispose()


def test_a_process_that_migrates_imports_no_migration_tool(
    fresh_postgres: Callable[[bool], str], tmp_path: Path
) -> None:
    new = [f"sqlite:///{tmp_path / 'new.db'}", fresh_postgres(False)]
    old = [f"sqlite:///{tmp_path / 'old.db'}", fresh_postgres(False)]
    code = (
        "import sys; from app.projections.opening import open_ledger;"
        "from app.settings import Settings;"
        "tools = ('alembic', 'mako', 'scipy', 'pandas')\n"
        "for url in sys.argv[1:]:\n"
        "    open_ledger(Settings(database_url=url)).close()\n"
        "    print([m for m in tools if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *new, *map(left_by_0006, old)],
        env=os.environ | Settings(state_dir=tmp_path).as_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (4 * "[]\n", "")


@pytest.mark.parametrize("golden", ["0001-first-version", "0002-people"])
def test_a_database_of_the_version_before_opens_migrates_and_answers_alike(
    old_database_url: str, golden: str
) -> None:
    path = REPOSITORY / "tests" / "golden" / f"{golden}.jsonl"
    settings = Settings(database_url=old_database_url)
    engine = create_database(settings.ledger_url, settings)
    with engine.connect() as connection:
        place(connection, lines_of(path), payloads_of(path))
        grow(connection, 0, [leaf_hash(line) for line in lines_of(path)])
        connection.execute(text("INSERT INTO policies VALUES ('of', 'the', 1, 'old', 0)"))
        connection.commit()
    engine.dispose()

    ledger = open_ledger(settings)

    expected = expected_of(path)
    with ledger.connect() as connection:
        found = digests(connection, READ_MODELS)
        assert not inspect(connection).has_table("policies")
        assert read_head(connection).root().hex() == expected["root"]
        assert guard_breaks(connection, SCHEMA_REVISION) == []
    recorded = expected["read_models"] | expected["since"]
    assert found == {name: recorded[name] for name in found}  # older numbers are kept no more
    assert ledger.stored_bytes(0, ledger.size() - 1) == lines_of(path)
    assert rebuild(ledger).differing == ()
    assert put(ledger, "observations-cars", refused())[0].position == expected["entries"]
    ledger.close()


def test_a_migration_asks_for_no_setting_but_where_the_ledger_is(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHYLEDGER_PORT", "abc")  # which a command's option may have replaced
    engine = create_database(empty_database_url, Settings(port=0, database_url=empty_database_url))
    migrate(engine, 30)
    assert not needs_migration(engine)
    engine.dispose()


def test_two_revisions_at_once_are_named(settings: Settings) -> None:
    engine = create_database(settings.ledger_url, settings)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
    with pytest.raises(LedgerDamaged, match=f"holds 2 rows, '0001', '{SCHEMA_REVISION}', where"):
        needs_migration(engine)
    engine.dispose()
