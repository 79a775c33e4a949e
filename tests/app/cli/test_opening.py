"""Looking leaves no trace where there is no ledger; arguments that make no sense are named."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import delete

from app.cli.opening import read_settings
from app.cli.terminal import CommandRefused
from app.projections.keeping import POSITIONS
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.cli.command_line import whyledger
from tests.app.cli.test_commands import CONTRACT
from tests.ledger_events import put, refused
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
    url = fresh_postgres(True)

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
