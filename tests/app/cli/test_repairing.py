"""`whyledger repair`: it says what it would do, does it and says so, or what keeps it from that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.database.roles import APPLICATION
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.cli.command_line import whyledger
from tests.app.proof.signed_ledger import SIZE, fill
from tests.postgres import logging_in
from tests.told import ToldOnce, retold

Run = Callable[..., subprocess.CompletedProcess[str]]

HEAD = "the tree's head says {} entries; it is derived from the entries again: 320 entries, root "
MOVED = {
    "further than there are entries": ("UPDATE ledger_head SET size = 1024", 1024),
    "to other hashes": ("UPDATE ledger_head SET frontier = :zeros", SIZE),
}


@pytest.fixture
def signed(settings: Settings, told_once: ToldOnce) -> Settings:
    """A ledger of 320 entries, signed up to 300."""
    return retold(told_once(fill, settings), settings)


@pytest.fixture
def run(signed: Settings) -> Run:
    """A command on that ledger, by the login of its owner unless another URL is given."""

    def command(*words: str, url: str = signed.ledger_url) -> subprocess.CompletedProcess[str]:
        return whyledger(signed.state_dir, *words, WHYLEDGER_DATABASE_URL=url)

    return command


def move_head(settings: Settings, statement: str) -> None:
    """As the application's role may."""
    with_zeros = {"zeros": bytes(32 * 2)} if ":zeros" in statement else {}
    ledger = open_ledger(settings)
    with ledger.engine.begin() as connection:
        connection.execute(text(statement), with_zeros)
    ledger.close()


def head(settings: Settings) -> tuple[int, bytes]:
    ledger = open_ledger(settings)
    with ledger.engine.connect() as connection:
        row = connection.execute(text("SELECT size, frontier FROM ledger_head")).one()
    ledger.close()
    return int(row.size), bytes(row.frontier)


@pytest.mark.parametrize("moved", MOVED)
def test_a_head_that_somebody_moved_is_planned_mended_and_then_verified(
    run: Run, signed: Settings, moved: str
) -> None:
    statement, said = MOVED[moved]
    right = head(signed)
    move_head(signed, statement)
    wrong = head(signed)
    assert run("verify", "--no-read-models").returncode == 3

    planned = run("repair", "--plan")
    assert planned.returncode == 0, planned.stderr
    (line,) = planned.stdout.splitlines()
    assert line.startswith(f"would: {HEAD.format(said)}")
    assert head(signed) == wrong

    done = run("repair")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [line.replace("would: ", "done: ", 1)]
    assert done.stderr.splitlines()[-1].startswith("320 entries, root ")
    assert done.stderr.splitlines()[-1].endswith("; run `whyledger verify` now")
    assert head(signed) == right
    assert run("verify").returncode == 0

    assert run("repair").stdout.startswith("nothing to repair: head, tiles and checkpoints follow")


def test_json_has_what_is_planned_and_what_was_done(run: Run, signed: Settings) -> None:
    move_head(signed, "UPDATE ledger_head SET size = 1024")
    planned = json.loads(run("repair", "--plan", "--json").stdout)
    done = json.loads(run("repair", "--json").stdout)

    (step,) = planned.pop("planned")
    assert step.startswith(HEAD.format(1024))
    assert done.pop("done") == [step]
    assert planned == done
    assert (done["entries"], done["damaged"]) == (320, [])
    assert step.endswith(done["root"])
    assert json.loads(run("repair", "--json").stdout)["done"] == []


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_login_that_does_not_own_the_tables_plans_and_is_told_who_may_repair(
    run: Run, signed: Settings
) -> None:
    move_head(signed, "UPDATE ledger_head SET size = 1024")
    wrong = head(signed)
    with logging_in(signed.ledger_url, APPLICATION) as url:
        planned = run("repair", "--plan", url=url)
        assert planned.stdout.startswith(f"would: {HEAD.format(1024)}")
        refused = run("repair", url=url)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.splitlines()[-1] == (
        "error: this login does not own the ledger's tables; nothing was repaired. Run the command "
        "with WHYLEDGER_DATABASE_URL of a login that is a member of whyledger_owner."
    )
    assert head(signed) == wrong
    assert run("repair").returncode == 0
