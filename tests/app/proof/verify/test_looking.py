"""`verify` and `export` only look: nothing is made, migrated or written, and what this version does
not know it does not judge."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from app.cli.opening import looked_at
from app.cli.terminal import exit_code_of
from app.database.migrating import SCHEMA_REVISION, CannotJudge, upgrade
from app.ledger.store import Ledger
from app.projections.keeping import Keeping
from app.projections.rows import ROWS
from app.projections.runner import WITH_THE_LEDGER
from app.proof.bundle import export_bundle
from app.proof.verify.verification import Verified, verify
from app.settings import Settings
from domain.errors import LedgerDamaged, NothingToDecide, WhyledgerError
from tests.app.proof.forger import stored_as
from tests.ledger_events import put, refused
from tests.nobody import as_nobody

OLD = Path(__file__).parents[2] / "database" / "revision_0006"


def run(settings: Settings, *statements: str) -> None:
    """As the owner of the database, outside the service."""
    if settings.database_url.startswith("sqlite"):
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as raw:
            for statement in statements:
                raw.executescript(statement)
    else:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def looked(settings: Settings, *, read_models: bool = True) -> Verified:
    with looked_at(settings) as ledger:
        return verify(ledger, None, read_models=read_models)


def refusals(settings: Settings, target: Path) -> Iterator[WhyledgerError]:
    """What `verify` and `export --bundle` refuse with."""
    with pytest.raises(WhyledgerError) as refused_to_verify:
        looked(settings)
    yield refused_to_verify.value
    with pytest.raises(WhyledgerError) as refused_to_export, looked_at(settings) as ledger:
        export_bundle(ledger, target, None)
    yield refused_to_export.value


def test_a_ledger_of_an_older_schema_is_judged_and_stays_as_it_is(
    empty_database_url: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=empty_database_url, state_dir=tmp_path / "state")
    dialect = "sqlite" if empty_database_url.startswith("sqlite") else "postgresql"
    run(settings, (OLD / f"{dialect}.sql").read_text())
    found = looked(settings)
    assert (found.breaks, found.schema, found.read_models) == ((), "0006", 0)
    assert "'0006', older than" in found.older_schema
    with looked_at(settings) as ledger:
        written = export_bundle(ledger, tmp_path / "bundle", None)
    assert (written.entries, written.root) == (found.entries, found.root)
    assert looked(settings).schema == "0006", "nobody migrated it"


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0005"])
def test_each_older_schema_is_judged_by_what_it_had(
    empty_database_url: str, tmp_path: Path, revision: str
) -> None:
    settings = Settings(database_url=empty_database_url, state_dir=tmp_path / "state")
    with closing_engine(settings) as engine:
        upgrade(engine, 30, revision)  # type: ignore[arg-type]
    found = looked(settings)
    assert (found.breaks, found.entries, found.schema) == ((), 0, revision)


def test_a_guard_that_an_older_schema_had_is_missed(
    empty_database_url: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=empty_database_url, state_dir=tmp_path / "state")
    dialect = "sqlite" if empty_database_url.startswith("sqlite") else "postgresql"
    run(settings, (OLD / f"{dialect}.sql").read_text())
    name = "entries_refuse_delete" if dialect == "sqlite" else "entries_refuse_change"
    run(settings, f"DROP TRIGGER {name}" + ("" if dialect == "sqlite" else " ON entries"))
    (only,) = looked(settings).breaks
    assert f"these dropped: trigger {name}" in only.found


@pytest.mark.parametrize("revision", ["0099", "9999", "nonsense", "7"])
def test_a_schema_this_version_does_not_know_is_not_judged(
    ledger: Ledger, settings: Settings, tmp_path: Path, revision: str
) -> None:
    ledger.close()
    run(settings, f"UPDATE alembic_version SET version_num = '{revision}'")
    for error in refusals(settings, tmp_path / "bundle"):
        assert exit_code_of(error).value == 21
        assert "cannot be judged. Use the version that made it" in error.message
    assert not (tmp_path / "bundle").exists()


def test_a_schema_that_does_not_say_its_revision_is_damage(
    ledger: Ledger, settings: Settings, tmp_path: Path
) -> None:
    ledger.close()
    run(settings, "DELETE FROM alembic_version")
    for error in refusals(settings, tmp_path / "bundle"):
        assert isinstance(error, LedgerDamaged)


def test_where_there_is_no_ledger_none_is_made(empty_database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=empty_database_url, state_dir=tmp_path / "state")
    for error in refusals(settings, tmp_path / "bundle"):
        assert isinstance(error, NothingToDecide)
    assert list(tmp_path.iterdir()) == []


def test_nothing_can_be_written_through_it(ledger: Ledger, settings: Settings) -> None:
    with looked_at(settings) as looking:
        with pytest.raises(Exception, match=r"readonly|read-only|cannot write"):
            put(looking, "observations-cars", refused())
    assert ledger.size() == 1


def test_read_models_that_are_behind_stay_behind(ledger: Ledger, settings: Settings) -> None:
    put(ledger, "observations-cars", refused())
    table = (
        "read_model_positions"
        if "sqlite" in settings.database_url
        else ("read_models.read_model_positions")
    )
    run(settings, f"DELETE FROM {table}")
    with ledger.rows.writing() as connection:
        Keeping([ROWS], apart=True).begin_anew(connection)
    for each in WITH_THE_LEDGER:  # as before a process of this version has opened it
        run(settings, f"DROP TABLE {stored_as(ledger, each.table)}")
    assert (looked(settings).breaks, looked(settings).read_models) == ((), 0)
    assert looked(settings).read_models == 0, "nobody folded them"


@contextmanager
def closing_engine(settings: Settings) -> Iterator[object]:
    from app.database.engine import create_database

    engine = create_database(settings.database_url, settings)
    yield engine
    engine.dispose()


@pytest.fixture
def read_only_file(
    sqlite_ledger: Ledger, sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A ledger in a directory where nothing may be written, reachable for everybody."""
    put(sqlite_ledger, "observations-cars", refused())
    sqlite_ledger.close()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as room:
        Path(room).chmod(0o777)
        monkeypatch.setattr(tempfile, "tempdir", room)  # where everybody may write
        file = Path(folder) / "ledger.db"
        shutil.copy(sqlite_settings.database_url.removeprefix("sqlite:///"), file)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        yield Settings(database_url=f"sqlite:///{file}", state_dir=Path(folder) / "state")
        Path(folder).chmod(0o700)


def test_a_file_that_may_only_be_read_is_judged(read_only_file: Settings, tmp_path: Path) -> None:
    with as_nobody():
        found = looked(read_only_file)
        with tempfile.TemporaryDirectory() as folder, looked_at(read_only_file) as ledger:
            assert export_bundle(ledger, Path(folder) / "bundle", None).entries == 2
    assert (found.breaks, found.entries) == ((), 2)
    there = read_only_file.state_dir.parent
    assert [path.name for path in there.iterdir()] == ["ledger.db"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_login_that_may_only_read_is_enough(
    ledger: Ledger, reader: Callable[..., Settings], tmp_path: Path
) -> None:
    put(ledger, "observations-cars", refused())
    reading = reader("public", "read_models")
    found = looked(reading)
    assert (found.breaks, found.entries) == ((), 2)
    assert found.read_models > 5
    with looked_at(reading) as looking:
        assert export_bundle(looking, tmp_path / "bundle", None).entries == 2


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_what_a_login_may_not_read_is_not_judged(
    ledger: Ledger, reader: Callable[..., Settings], tmp_path: Path
) -> None:
    without_read_models = reader("public")
    with pytest.raises(CannotJudge, match="leave those out with --no-read-models"):
        looked(without_read_models)
    assert looked(without_read_models, read_models=False).breaks == ()
    for error in refusals(reader(), tmp_path / "bundle"):
        assert isinstance(error, CannotJudge)


def test_the_newest_schema_is_the_one_that_is_judged_without_a_word(
    ledger: Ledger, settings: Settings
) -> None:
    assert (looked(settings).schema, looked(settings).older_schema) == (SCHEMA_REVISION, "")
