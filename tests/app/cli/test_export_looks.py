"""`export` only looks, in every form: it says the same of a ledger as after opening it, and leaves
it as it is, whatever stands in it."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from sqlalchemy import Connection, make_url, select

from app.cli.opening import looked_at_read_models
from app.database.engine import create_database, driver_name, insert_rows
from app.database.migrating import upgrade
from app.database.storage import StorageFailed
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from app.projections.folding import scratch
from app.projections.opening import open_ledger
from app.projections.read_model import ReadModel
from app.projections.runner import WITH_THE_LEDGER
from app.settings import Settings
from tests.app.cli.command_line import whyledger
from tests.app.damaged import FORGED, everything
from tests.app.proof.forger import change
from tests.app.web.car_story import car_story, record
from tests.ledger_events import put, refused
from tests.nobody import as_nobody
from tests.told import Story, ToldOnce, retold

FORMS = ("jsonl", "csv", "html")
FOLDING = "folding the read models beside the ledger …\n"
Done = CompletedProcess[str]


def tell(ledger: Ledger, _: Settings) -> None:
    record(ledger, car_story(1977))


@pytest.fixture
def told(told_once: ToldOnce, settings: Settings) -> Settings:
    """A closed ledger with decisions, champions and what they were worth, all folded."""
    return retold(told_once(tell, settings), settings)


def export(settings: Settings, form: str = "jsonl", *more: str) -> Done:
    at = {"WHYLEDGER_DATABASE_URL": settings.database_url}
    return whyledger(settings.state_dir, "export", "--format", form, *more, **at)


def exported(settings: Settings) -> list[str]:
    """What it writes in every form."""
    done = [export(settings, form) for form in FORMS]
    assert [each.returncode for each in done] == [0, 0, 0], done[0].stderr
    assert len(done[0].stdout) > 1000
    return [each.stdout for each in done]


def run(settings: Settings, *statements: str) -> None:
    """As the owner of the database, outside the service."""
    if settings.database_url.startswith("sqlite"):
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as raw:
            for statement in statements:
                raw.execute(statement)
            raw.commit()
    else:
        with psycopg.connect(settings.database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def contents(settings: Settings) -> object:
    """All that stands there: files and their bytes, or every table with its columns and rows.

    Whoever only reads a SQLite file makes its index, and an empty log, anew.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        return {
            each.name: each.read_bytes()
            for each in file.parent.glob(f"{file.name}*")
            if not each.name.endswith("-shm") and each.stat().st_size
        }
    with psycopg.connect(settings.database_url) as connection:
        columns = connection.execute(
            "SELECT table_schema, table_name, column_name, data_type"
            " FROM information_schema.columns WHERE table_schema IN ('public', 'read_models')"
            " ORDER BY 1, 2, 3"
        ).fetchall()
        tables = sorted({(schema, table) for schema, table, *_ in columns})
        rows = {
            (schema, table): sorted(
                map(repr, connection.execute(f'SELECT * FROM "{schema}"."{table}"'.encode()))
            )
            for schema, table in tables
        }
        return columns, rows


def read_model(settings: Settings, name: str) -> str:
    sqlite = settings.database_url.startswith("sqlite")
    return name if sqlite else f"read_models.{name}"


def in_a_schema_of(revision: str, settings: Settings, told: Settings) -> None:
    """Put the entries of a ledger into an empty database, as a version of then would have them."""
    ledger = open_ledger(told)
    with ledger.snapshot() as connection:
        rows = [
            tuple(row) for row in connection.execute(select(ENTRIES).order_by(ENTRIES.c.position))
        ]
    ledger.close()
    engine = create_database(settings.database_url, settings)
    upgrade(engine, 30, revision)
    with engine.begin() as connection:
        insert_rows(connection, ENTRIES, rows)
    engine.dispose()


@pytest.mark.parametrize("revision", ["0001", "0002", "0006", "0009"])
def test_an_older_schema_is_exported_and_stays_at_its_revision(
    told_once: ToldOnce, empty_database_url: str, tmp_path: Path, revision: str
) -> None:
    settings = Settings(database_url=empty_database_url, state_dir=tmp_path / "state")
    in_a_schema_of(revision, settings, told_once(tell, settings).settings)
    before = contents(settings)

    looked = exported(settings)

    assert contents(settings) == before
    open_ledger(settings).close()  # migrated, and folded into it
    assert contents(settings) != before
    assert exported(settings) == looked


@pytest.mark.parametrize("story", [tell, everything])
def test_read_models_that_are_behind_are_folded_beside_and_stay_behind(
    told_once: ToldOnce, settings: Settings, story: Story
) -> None:
    retold(told_once(story, settings), settings)
    folded = exported(settings)
    run(settings, f"DELETE FROM {read_model(settings, 'read_model_positions')}")
    for table in WITH_THE_LEDGER[0].tables:  # as before a process of this version has opened it
        dialect = make_url(settings.database_url).get_backend_name()
        run(settings, f"DROP TABLE {driver_name(table, dialect)}")
    before = contents(settings)

    assert exported(settings) == folded
    assert contents(settings) == before


def test_folding_beside_is_told_where_it_takes_more_than_a_page(
    ledger: Ledger, settings: Settings
) -> None:
    put(ledger, "observations-cars", *[refused()] * 1500)
    ledger.close()
    quick = export(settings)
    run(settings, f"DELETE FROM {read_model(settings, 'read_model_positions')}")
    before = contents(settings)

    slow = export(settings)

    assert (quick.returncode, quick.stderr, slow.returncode) == (0, "", 0)
    assert (slow.stdout, slow.stderr) == (quick.stdout, FOLDING)
    assert contents(settings) == before


def test_a_newer_schema_cannot_be_judged(told: Settings) -> None:
    run(told, "UPDATE alembic_version SET version_num = '0099'")
    before = contents(told)

    done = [export(told, form) for form in FORMS]

    assert [each.returncode for each in done] == [21] * 3
    assert all("'0099', and this version knows those up to" in each.stderr for each in done)
    assert not any(each.stdout for each in done)
    assert contents(told) == before


def test_damage_that_is_met_is_said_and_nothing_is_appended(told: Settings) -> None:
    ledger = open_ledger(told)
    content = ledger.stored_bytes(0, 0)[0].replace(b'"data"', b'"DATA"')
    change(ledger, "UPDATE entries SET bytes = :content WHERE position = 0", content=content)
    ledger.close()
    before = contents(told)

    page, lines = export(told, "html"), export(told)

    assert (page.returncode, lines.returncode) == (3, 0), "as a page it names the ledger"
    assert page.stderr.count("error: ledger entry 0: the stored bytes hash to") == 1
    assert "`whyledger verify --record` lets the ledger say what was found" in page.stderr
    assert contents(told) == before


def test_read_models_are_not_folded_beside_over_an_entry_that_was_edited(told: Settings) -> None:
    ledger = open_ledger(told)
    content = ledger.stored_bytes(3, 3)[0] + b" "
    change(ledger, "UPDATE entries SET bytes = :content WHERE position = 3", content=content)
    ledger.close()
    run(told, f"DELETE FROM {read_model(told, 'read_model_positions')}")
    before = contents(told)

    done = export(told)

    assert (done.returncode, done.stdout) == (3, "")
    assert "error: ledger entry 3" in done.stderr
    assert "`whyledger settle --reason`" in done.stderr
    assert contents(told) == before


def test_a_read_model_that_somebody_changed_is_named_and_left(told: Settings) -> None:
    decisions = next(
        table for each in WITH_THE_LEDGER for table in each.tables if "decisions" in table.name
    )
    name = read_model(told, str(decisions.name))
    run(told, f"UPDATE {name} SET body = 'no JSON {FORGED}'")
    before = contents(told)

    done = export(told)

    assert done.returncode == 20
    assert f"the read model '{decisions.name}': expected the row" in done.stderr
    assert "Put it right with `whyledger replay`, and export again" in done.stderr
    assert contents(told) == before


def test_a_model_nobody_knows_is_refused_where_read_models_are_folded_beside(
    told: Settings,
) -> None:
    run(told, f"DELETE FROM {read_model(told, 'read_model_positions')}")

    done = export(told, "csv", "--model", "car-prise")

    assert (done.returncode, done.stdout) == (1, "")
    assert "model 'car-prise' is unknown" in done.stderr


def test_without_room_for_read_models_beside_it_is_said_where_there_may_be_more(
    told: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(read_models: Sequence[ReadModel]) -> Iterator[Connection]:
        with scratch(read_models) as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # it grows no more
            yield connection

    monkeypatch.setattr("app.projections.looked_at.scratch", full)
    run(told, f"DELETE FROM {read_model(told, 'read_model_positions')}")

    with (
        pytest.raises(StorageFailed, match="no room for the read models that are folded beside"),
        looked_at_read_models(told),
    ):
        pass


@pytest.fixture
def read_only_file(sqlite_settings: Settings, told_once: ToldOnce) -> Iterator[Settings]:
    """A ledger alone in a directory where nothing may be written."""
    whole = retold(told_once(tell, sqlite_settings), sqlite_settings)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.db"
        shutil.copy(whole.database_url.removeprefix("sqlite:///"), file)
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        yield Settings(database_url=f"sqlite:///{file}", state_dir=Path(folder) / "state")
        Path(folder).chmod(0o700)


@pytest.mark.parametrize("behind", [False, True])
def test_a_file_that_may_only_be_read_is_exported(
    read_only_file: Settings, sqlite_settings: Settings, behind: bool
) -> None:
    folder = read_only_file.state_dir.parent
    if behind:
        run(read_only_file, "DELETE FROM read_model_positions")
        for left in folder.glob("ledger.db-*"):
            left.unlink()
    with as_nobody():
        looked = exported(read_only_file)

    assert [each.name for each in folder.iterdir()] == ["ledger.db"]
    assert looked == exported(sqlite_settings)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("schemas", [("public",), ("public", "read_models")])
def test_a_login_that_may_only_read_is_enough(
    told: Settings, reader: Callable[..., Settings], schemas: tuple[str, ...]
) -> None:
    assert exported(reader(*schemas)) == exported(told)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_what_a_login_may_not_read_is_not_judged(
    told: Settings, reader: Callable[..., Settings]
) -> None:
    done = export(reader())

    assert done.returncode == 21
    assert "this login of the database may not read everything" in done.stderr
