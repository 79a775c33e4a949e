"""What guards the tables is compared by its text: a trigger that does nothing is found."""

from __future__ import annotations

import json

import pytest

from app.database.migrating import SCHEMA_REVISION
from app.ledger.store import Ledger
from app.projections.policies import POLICIES
from app.proof.verify.guards import guard_breaks, guard_texts
from tests.app.proof.forger import stored_as
from tests.app.proof.verify.guard_texts import FILE, revisions, spans, stands_at_each

BOTH = {
    "DROP INDEX ix_payloads_model_identity": "these dropped: index ix_payloads_model_identity",
    "CREATE UNIQUE INDEX mine ON entries (type)": "also index mine",
    "ALTER TABLE entries ADD COLUMN mine TEXT DEFAULT 'x'": "entries",
}
SQLITE = {
    "DROP TRIGGER entries_refuse_delete;; CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON"
    " entries BEGIN SELECT 1; END": "these changed: trigger entries_refuse_delete;",
    "DROP TRIGGER entries_refuse_update;; CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON"
    " entries WHEN NEW.id <> 'mine' BEGIN SELECT RAISE(ABORT, 'entries only grows: nothing in it is"
    " changed, replaced or removed'); END": "these changed: trigger entries_refuse_update;",
    "CREATE TRIGGER mine AFTER INSERT ON {policies} BEGIN UPDATE ledger_head SET size = 9; END": (
        "also trigger mine"
    ),
    "CREATE TRIGGER mine BEFORE INSERT ON entries BEGIN SELECT RAISE(IGNORE); END": (
        "also trigger mine"
    ),
}
POSTGRES = {
    "CREATE OR REPLACE FUNCTION whyledger_refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN NEW; END $$": "these changed: function whyledger_refuse;",
    "DROP TRIGGER entries_refuse_change ON entries;; CREATE FUNCTION mine() RETURNS trigger"
    " LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;; CREATE TRIGGER entries_refuse_change"
    " BEFORE UPDATE OR DELETE ON entries FOR EACH ROW EXECUTE FUNCTION mine();; ALTER TABLE entries"
    " ENABLE ALWAYS TRIGGER entries_refuse_change": "trigger entries_refuse_change of entries",
    "ALTER TABLE tiles ENABLE REPLICA TRIGGER tiles_refuse_change": (
        "these changed: trigger tiles_refuse_change of tiles;"
    ),
    "CREATE RULE mine AS ON DELETE TO entries DO INSTEAD NOTHING": "also rule mine of entries",
    "CREATE TABLE mine () INHERITS (entries)": "also table mine below entries",
    "ALTER TABLE entries DROP CONSTRAINT uq_entries_id": "constraint uq_entries_id of entries",
    "ALTER TABLE entries ADD CONSTRAINT mine CHECK (position < 100)": "also constraint mine",
    "ALTER TABLE entries ENABLE ROW LEVEL SECURITY": "these changed: table entries;",
    "CREATE POLICY mine ON entries USING (position < 3)": "also policy mine of entries",
    "ALTER TABLE entries SET UNLOGGED": "these changed: table entries;",
    "CREATE TRIGGER mine AFTER INSERT ON {policies} FOR EACH ROW EXECUTE FUNCTION"
    " whyledger_refuse()": "also trigger mine of",
    "CREATE ROLE mallory;; GRANT UPDATE ON entries TO mallory": (
        "also right to UPDATE on entries for mallory"
    ),
    "GRANT INSERT ON entries TO PUBLIC": "also right to INSERT on entries for PUBLIC",
    "GRANT UPDATE (note) ON checkpoints TO whyledger_app": (
        "also right to UPDATE on checkpoints.note for whyledger_app"
    ),
    "GRANT DELETE ON payloads TO whyledger_app": (
        "also right to DELETE on payloads for whyledger_app"
    ),
    "GRANT UPDATE ON alembic_version TO whyledger_app": (
        "also right to UPDATE on alembic_version for whyledger_app"
    ),
    "CREATE ROLE mallory;; ALTER TABLE tiles OWNER TO mallory": "also owner of tiles",
    "CREATE ROLE mallory SUPERUSER;; SET ROLE mallory;; CREATE FUNCTION mine() RETURNS"
    " event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;; CREATE EVENT TRIGGER mine ON"
    " ddl_command_end EXECUTE FUNCTION mine();; RESET ROLE": "also event trigger mine",
}
HARMLESS = (
    "CREATE ROLE mallory;; GRANT SELECT ON entries TO mallory",
    "CREATE TABLE mine (i int);; GRANT ALL ON mine TO PUBLIC",
)


def words_after(ledger: Ledger, statements: str) -> str:
    with ledger.engine.connect() as connection:
        assert guard_breaks(connection, SCHEMA_REVISION) == []
        for statement in statements.split(";; "):
            named = statement.format(policies=stored_as(ledger, POLICIES))
            connection.exec_driver_sql(named)
        found = guard_breaks(connection, SCHEMA_REVISION)
        connection.rollback()
    assert all(each.thing == "the database's guards" for each in found)
    return " ".join(each.sentence() for each in found)


@pytest.mark.parametrize("change", BOTH)
def test_a_changed_index_or_column_is_found(ledger: Ledger, change: str) -> None:
    assert BOTH[change] in words_after(ledger, change)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", SQLITE)
def test_a_trigger_that_does_other_than_ours_is_found_on_sqlite(
    ledger: Ledger, change: str
) -> None:
    assert SQLITE[change] in words_after(ledger, change)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("change", POSTGRES)
def test_whatever_lets_through_or_hides_is_found_on_postgresql(ledger: Ledger, change: str) -> None:
    assert POSTGRES[change] in words_after(ledger, change)


def test_an_index_that_refuses_nothing_is_its_operators_business(ledger: Ledger) -> None:
    assert words_after(ledger, "CREATE INDEX mine ON entries (recorded_at)") == ""


def test_the_texts_are_what_the_migrations_make(empty_database_url: str) -> None:
    dialect = "sqlite" if empty_database_url.startswith("sqlite") else "postgresql"
    made = spans(empty_database_url)
    assert made == json.loads(FILE.read_text())[dialect], (
        "the migrations make something else: run `python tests/app/proof/verify/guard_texts.py`"
    )


def test_each_revision_has_the_texts_of_its_time(tmp_path: object) -> None:
    for revision, there in stands_at_each(f"sqlite:///{tmp_path}/ledger.db"):
        assert guard_texts("sqlite", revision) == there
    assert revisions()[-1] == SCHEMA_REVISION


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("change", HARMLESS)
def test_who_may_only_read_and_what_is_not_ours_is_nobodys_business(
    ledger: Ledger, change: str
) -> None:
    assert words_after(ledger, change) == ""
