"""Looking leaves no trace where there is no ledger; arguments that make no sense are named."""

import json
import shutil
import socket
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete

from app.cli.opening import read_settings, typed
from app.cli.terminal import CommandRefused, Exit, exit_code_of
from app.database.engine import create_database
from app.database.migrating import upgrade
from app.ledger.damage import record_damage, settle_known
from app.ledger.met_damage import Met
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.settings import Settings
from domain.decisions.damage import SettleDamage
from domain.errors import ReadModelUnfit
from tests.app.cli.command_line import whyledger
from tests.app.cli.test_commands import CONTRACT
from tests.ledger_events import put, refused
from tests.nobody import as_nobody
from tests.repository import REPOSITORY

LOOKING = ("state", "decisions", "export", "verify", "replay")


def test_looking_at_an_empty_database_makes_no_ledger(
    tmp_path: Path, fresh_postgres: Callable[[bool], str]
) -> None:
    url = fresh_postgres(False)

    done = [whyledger(tmp_path, name, WHYLEDGER_DATABASE_URL=url) for name in LOOKING]

    assert [each.returncode for each in done] == [20] * len(LOOKING)
    assert all("there is no ledger in the database of the settings" in x.stderr for x in done)
    with psycopg.connect(url) as connection:
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


def test_looking_at_tables_without_an_entry_begins_nothing(
    tmp_path: Path, fresh_postgres: Callable[[bool], str]
) -> None:
    url = fresh_postgres(False)
    engine = create_database(url, Settings(database_url=url))
    upgrade(engine, 30)
    engine.dispose()

    done = whyledger(tmp_path, "state", WHYLEDGER_DATABASE_URL=url)

    assert done.returncode == 20
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("decisions",), "--since"),
        (("decisions",), "--until"),
        (("export",), "--since"),
        (("cycle", "--model", "car-price"), "--as-of"),
    ],
)
def test_a_time_that_is_none_cannot_be_understood_and_dates_are_named(
    tmp_path: Path, command: tuple[str, ...], option: str
) -> None:
    done = whyledger(tmp_path, *command, option, "yesterday")

    assert done.returncode == 2
    assert option in done.stderr
    assert done.stderr.count("\n") == 1
    assert f"{option} 'yesterday' is neither a date like 1976-07-01" in done.stderr


def test_a_misspelt_filter_is_no_empty_success(tmp_path: Path) -> None:
    assert whyledger(tmp_path, "adopt", CONTRACT).returncode == 0

    for command in ("decisions", "export"):
        outcome = whyledger(tmp_path, command, "--outcome", "keep")
        model = whyledger(tmp_path, command, "--model", "car-prise")

        assert (outcome.returncode, model.returncode) == (2, 1)
        assert "outcome 'keep' is none of 'retrain', 'keep: no drift'" in outcome.stderr
        assert "model 'car-prise' is unknown" in model.stderr
        assert not outcome.stdout + model.stdout


def test_a_header_that_does_not_fit_is_no_invalid_contract(tmp_path: Path) -> None:
    assert whyledger(tmp_path, "adopt", CONTRACT).returncode == 0
    (tmp_path / "rows.csv").write_text("colour\nred\n")

    done = whyledger(tmp_path, "import", "car-price", tmp_path / "rows.csv")

    assert done.returncode == 1
    assert "'colour' is no column of 'car-price'; remove it" in done.stderr


def test_the_version_is_that_of_the_package(tmp_path: Path) -> None:
    package = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert whyledger(tmp_path, "--version").stdout == f"whyledger {package['version']}\n"


def test_a_command_that_must_fold_the_read_models_first_says_so(sqlite_settings: Settings) -> None:
    ledger = open_ledger(sqlite_settings)
    put(ledger, "observations-cars", *[refused()] * 1500)
    with ledger.writing() as connection:
        connection.execute(delete(POSITIONS))
    ledger.close()

    first, second = (
        whyledger(
            sqlite_settings.state_dir, "state", WHYLEDGER_DATABASE_URL=sqlite_settings.database_url
        )
        for _ in range(2)
    )

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stderr == f"folding the read models from the ledger …\n{second.stderr}"


def test_settings_that_make_no_sense_are_named_with_a_remedy_and_without_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WHYLEDGER_PORT", "many-secrets")
    monkeypatch.setenv("WHYLEDGER_DATABASE_URL", "mysql://ada:secret@db/ledger")
    monkeypatch.setenv("WHYLEDGER_ANCHOR_WEBHOOK", "hooks.test/secret")

    with pytest.raises(CommandRefused) as refused:
        read_settings()

    said = refused.value.message
    assert "WHYLEDGER_PORT: should be a valid integer" in said
    assert "WHYLEDGER_DATABASE_URL: database_url starts with 'mysql'; it must start with" in said
    assert "WHYLEDGER_ANCHOR_WEBHOOK: anchor_webhook begins with 'hooks.te'" in said
    assert "secret" not in said
    assert ".." not in said


def test_a_misspelt_setting_is_refused_by_every_command(tmp_path: Path) -> None:
    done = whyledger(tmp_path, "state", WHYLEDGER_BUSY_TIMEOUT="1")

    assert done.returncode == 1
    said = "WHYLEDGER_BUSY_TIMEOUT is no setting; the nearest is WHYLEDGER_BUSY_TIMEOUT_SECONDS"
    assert said in done.stderr


def test_a_name_that_is_like_no_setting_is_said_and_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHYLEDGER_FLAVOUR", "1")
    assert read_settings() == Settings()
    assert "WHYLEDGER_FLAVOUR: no setting, and passed over" in capsys.readouterr().err


def test_a_read_model_that_is_folded_anew_asks_for_another_try_and_not_for_an_end() -> None:
    assert exit_code_of(ReadModelUnfit("it was so.")) is Exit.UNDECIDED


@pytest.mark.parametrize(
    "command",
    [("state",), ("serve", "--port", "0"), ("repair", "--plan"), ("verify",), ("export",)],
)
def test_a_newer_schema_cannot_be_judged_and_is_no_damage(
    sqlite_settings: Settings, command: tuple[str, ...]
) -> None:
    ledger = open_ledger(sqlite_settings)
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    ledger.close()
    at = {"WHYLEDGER_DATABASE_URL": sqlite_settings.database_url}

    done = whyledger(sqlite_settings.state_dir, *command, **at)

    assert done.returncode == 21
    assert "Use the version that made it, or a newer one" in done.stderr


def test_a_ledger_that_knows_of_damage_says_so_when_its_state_is_asked(
    sqlite_settings: Settings,
) -> None:
    ledger = open_ledger(sqlite_settings)
    ledger.met.add(Met(0, "ledger entry 0: it is not what was written."))
    record_damage(ledger, typed())
    at = {"WHYLEDGER_DATABASE_URL": sqlite_settings.database_url}

    damaged = whyledger(sqlite_settings.state_dir, "state", "--json", **at)
    settle_known(ledger, SettleDamage(how="accepted", reason="known"), typed())
    accepted = whyledger(sqlite_settings.state_dir, "state", **at)
    ledger.close()

    assert (damaged.returncode, accepted.returncode) == (3, 0)
    assert "ledger entry 0: it is not what was written. Nothing is promoted" in damaged.stderr
    assert json.loads(damaged.stdout)["damage"].startswith("ledger entry 0:")
    assert "ledger entry 0: it is not what was written. It was accepted: known." in accepted.stderr


def test_missing_rights_get_the_remedy_for_missing_rights(
    sqlite_settings: Settings,
) -> None:
    open_ledger(sqlite_settings).close()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_settings.database_url.removeprefix("sqlite:///"), f"{folder}/ledger.db")
        Path(folder, "ledger.db").chmod(0o444)
        Path(folder).chmod(0o555)
        with as_nobody():
            read_only = whyledger(Path(folder), "state")
            unmade = whyledger(Path(folder) / "s", "adopt", CONTRACT)
        Path(folder).chmod(0o700)

    assert read_only.returncode == 20
    assert "Give this process the right to write the file" in read_only.stderr
    assert "Make room" not in read_only.stderr
    assert unmade.returncode == 1
    assert f"{folder}/s cannot be used: Permission denied. Give this process" in unmade.stderr


@pytest.mark.parametrize("command", ["state", "verify"])
def test_a_database_that_hangs_is_said_to_be_waited_for(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.opening._SILENT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://nobody@127.0.0.1:{port}/nothing?connect_timeout=2"

        done = whyledger(
            tmp_path, command, WHYLEDGER_DATABASE_URL=url, WHYLEDGER_ANSWER_SECONDS_MAX="2"
        )

    assert done.returncode == 20
    assert done.stderr.startswith("waiting for the ledger's database …\n")
