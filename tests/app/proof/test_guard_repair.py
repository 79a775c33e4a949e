"""A guard that was dropped or replaced is made again as the migrations made it, and stands."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.ledger.store import Ledger
from app.proof.repair import plan_repair, repair
from app.proof.verify.verification import verify
from tests.app.proof.forger import change
from tests.ledger_events import put, refused
from tests.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "operations.md"

SQLITE = [
    "DROP TRIGGER entries_refuse_update",
    "DROP TRIGGER checkpoints_refuse_delete",
    "DROP TRIGGER payloads_refuse_delete",
    "DROP TRIGGER artefacts_refuse_delete",
    "DROP TRIGGER entries_refuse_delete ;; DROP TRIGGER entries_refuse_replace",
    "DROP TRIGGER tiles_refuse_update ;; CREATE TRIGGER tiles_refuse_update BEFORE UPDATE ON tiles"
    " BEGIN SELECT 1; END",
]
POSTGRESQL = [
    "DROP TRIGGER entries_refuse_change ON entries",
    "ALTER TABLE entries DISABLE TRIGGER entries_refuse_change",
    "ALTER TABLE tiles ENABLE TRIGGER tiles_refuse_change",
    "DROP FUNCTION whyledger_refuse() CASCADE",
    "CREATE OR REPLACE FUNCTION whyledger_refuse_unerased() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN OLD; END'",
    "DROP TRIGGER payloads_refuse_delete ON payloads",
]


def by_hand(ledger: Ledger, statements: str) -> None:
    with ledger.engine.begin() as connection:
        for statement in statements.split(" ;; "):
            connection.exec_driver_sql(statement)


def changes(ledger: Ledger) -> list[str]:
    return SQLITE if ledger.engine.dialect.name == "sqlite" else POSTGRESQL


@pytest.mark.parametrize("number", range(len(POSTGRESQL)))
def test_a_guard_that_was_dropped_or_changed_is_planned_made_again_and_found_whole(
    ledger: Ledger, number: int
) -> None:
    put(ledger, "observations-cars", refused())
    by_hand(ledger, changes(ledger)[number])
    assert not verify(ledger, None).whole
    planned = plan_repair(ledger, None, None).steps
    assert planned
    assert all("made again as the migrations" in each for each in planned)
    assert not verify(ledger, None).whole, "a plan changes nothing"
    assert repair(ledger, None, None).steps == planned
    assert verify(ledger, None).breaks == ()
    assert repair(ledger, None, None).steps == ()
    with pytest.raises(DBAPIError, match="only grows"), ledger.engine.begin() as connection:
        connection.execute(text("UPDATE entries SET type = 'other'"))


def test_guards_and_the_trees_head_are_put_right_together(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused())
    on = "" if ledger.engine.dialect.name == "sqlite" else " ON ledger_head"
    name = "ledger_head_refuse_update" if not on else "ledger_head_refuse_change"
    by_hand(ledger, f"DROP TRIGGER {name}{on}")
    by_hand(ledger, "UPDATE ledger_head SET size = 0")
    assert len(repair(ledger, None, None).steps) == 2
    assert verify(ledger, None).breaks == ()
    put(ledger, "observations-cars", refused())


def test_an_entry_is_put_back_from_a_back_up_as_the_page_for_operators_says(
    sqlite_ledger: Ledger, tmp_path: Path
) -> None:
    put(sqlite_ledger, "observations-cars", *[refused(n + 1) for n in range(120)])
    file = str(sqlite_ledger.engine.url.database)
    with closing(sqlite3.connect(file)) as raw:
        raw.execute(f"VACUUM INTO '{tmp_path}/ledger-back-up.db'")
    change(sqlite_ledger, "UPDATE entries SET bytes = :bytes WHERE position = 100", bytes=b"{}")
    assert not verify(sqlite_ledger, None).whole
    told = PAGE.read_text().partition('sqlite3 state/ledger.db "ATTACH')[2].partition('"')[0]
    with closing(sqlite3.connect(file)) as raw:
        raw.executescript(f"ATTACH{told.replace('ledger-back', f'{tmp_path}/ledger-back')}")
    assert len(repair(sqlite_ledger, None, None).steps) == 1
    assert verify(sqlite_ledger, None).breaks == ()


def test_what_a_repair_made_belongs_to_the_owner_of_the_tables(ledger: Ledger) -> None:
    if ledger.engine.dialect.name == "sqlite":
        by_hand(ledger, "DROP TRIGGER entries_refuse_update")
        (step,) = repair(ledger, None, None).steps
        assert step.startswith("the trigger entries_refuse_update was dropped; it is made again")
        return
    by_hand(ledger, "DROP FUNCTION whyledger_refuse() CASCADE")
    repair(ledger, None, None)
    with ledger.engine.connect() as connection:
        owners = connection.execute(
            text("SELECT proowner::regrole::text FROM pg_proc WHERE proname LIKE 'whyledger%'")
        ).scalars()
        assert set(owners) == {"whyledger_owner"}
