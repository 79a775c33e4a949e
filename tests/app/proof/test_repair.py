"""A repair does what it says, and says no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text

from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import CHECKPOINTS
from app.projections.opening import open_ledger
from app.proof.repair import plan_repair, repair
from app.settings import Settings
from tests.app.proof.forger import change
from tests.app.proof.signed_ledger import SIGNED, Kept, fill
from tests.ledger_events import TIME
from tests.told import ToldOnce, retold

STRANGE = 310
GUARD = {
    "sqlite": "BEFORE DELETE ON tiles BEGIN SELECT 1; END",
    "postgresql": "BEFORE DELETE ON tiles FOR EACH ROW"
    " EXECUTE FUNCTION suppress_redundant_updates_trigger()",
}


@pytest.fixture
def kept(told_once: ToldOnce, settings: Settings) -> Kept:
    found: Kept = told_once(fill, settings).gives
    return found


@pytest.fixture
def ledger(told_once: ToldOnce, settings: Settings) -> Iterator[Ledger]:
    opened = open_ledger(retold(told_once(fill, settings), settings))
    yield opened
    opened.close()


def test_it_removes_what_the_key_did_not_sign_and_keeps_what_it_signed_beyond_the_entries(
    ledger: Ledger, kept: Kept
) -> None:
    with ledger.engine.begin() as connection:
        insert_rows(connection, CHECKPOINTS, [(STRANGE, bytes(32), "garbage", TIME)])
    change(ledger, "DELETE FROM entries WHERE position > 290")
    done = repair(ledger, kept.key, None)
    assert done.steps[0].startswith("the tree's head says 320 entries; it is derived")
    assert done.steps[1:] == (
        f"the checkpoint of {STRANGE} entries is not signed by {kept.key} for that many; "
        "it is removed",
    )
    with ledger.snapshot() as connection:
        left = connection.execute(select(CHECKPOINTS.c.size).order_by(CHECKPOINTS.c.size))
        assert tuple(left.scalars()) == SIGNED


def test_a_guard_may_have_any_name(ledger: Ledger, kept: Kept) -> None:
    change(ledger, "UPDATE tiles SET bytes = root")
    with ledger.engine.begin() as connection:
        name = connection.dialect.identifier_preparer.quote_identifier('a "guard"')
        connection.execute(text(f"CREATE TRIGGER {name} {GUARD[connection.dialect.name]}"))
    assert len(repair(ledger, kept.key, None).steps) == 1
    assert plan_repair(ledger, kept.key, None).steps == ()


@pytest.mark.parametrize("value", ["x'00ff'", "'one'", "1.5"])
@pytest.mark.parametrize("column", ["level", "number"])
def test_what_is_no_tile_is_removed_and_the_tile_written_again(
    sqlite_settings: Settings, told_once: ToldOnce, column: str, value: str
) -> None:
    """On SQLite, whose columns take anything."""
    told = told_once(fill, sqlite_settings)
    opened = open_ledger(retold(told, sqlite_settings))
    change(opened, f"UPDATE tiles SET {column} = {value}")
    assert len(repair(opened, told.gives.key, None).steps) == 2
    assert plan_repair(opened, told.gives.key, None).steps == ()
    opened.close()
