"""The database itself refuses to change what must not change, whoever asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import CHECKPOINTS
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerDamaged
from tests.ledger_events import TIME, artefact, put, refused
from tests.told import ToldOnce, retold

CHANGES = [
    "UPDATE entries SET type = 'other'",
    "UPDATE entries SET position = position + 10",
    "UPDATE entries SET bytes = bytes WHERE position = 1",
    "DELETE FROM entries",
    "DELETE FROM entries WHERE position = (SELECT max(position) FROM entries)",
    "UPDATE artefacts SET kind = 'other'",
    "DELETE FROM artefacts",
    "UPDATE tiles SET root = root",
    "DELETE FROM tiles",
    "UPDATE checkpoints SET note = 'other'",
    "DELETE FROM checkpoints",
    "UPDATE ledger_head SET size = size - 1",
    "UPDATE ledger_head SET id = 2",
    "DELETE FROM ledger_head",
    "INSERT INTO ledger_head SELECT 2, size, frontier FROM ledger_head",
]
SQLITE_REPLACES = [
    "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE position = 1",
    "REPLACE INTO entries SELECT * FROM entries",
    # another position, but the id, or the place in the stream, of an entry there is
    "INSERT OR REPLACE INTO entries SELECT 999, id, 's', 0, type, schema, occurred_at, recorded_at,"
    " bytes, leaf_hash, request_digest FROM entries WHERE position = 1",
    "INSERT OR REPLACE INTO entries SELECT 999, 'x', stream, stream_version, type, schema,"
    " occurred_at, recorded_at, bytes, leaf_hash, request_digest FROM entries WHERE position = 1",
    "UPDATE OR REPLACE entries SET position = 0 WHERE position = 1",
    "INSERT INTO entries SELECT * FROM entries WHERE position = 1"
    " ON CONFLICT (position) DO UPDATE SET type = 'other'",
    "INSERT OR REPLACE INTO artefacts SELECT sha256, 'other', bytes FROM artefacts",
    "INSERT OR REPLACE INTO tiles SELECT * FROM tiles",
    "INSERT OR REPLACE INTO checkpoints SELECT size, root, 'other', signed_at FROM checkpoints",
    "INSERT OR REPLACE INTO ledger_head SELECT id, 0, frontier FROM ledger_head",
    "UPDATE OR REPLACE ledger_head SET size = 0",
]
POSTGRES_CHANGES = [
    "TRUNCATE entries",
    "TRUNCATE artefacts",
    "TRUNCATE tiles",
    "TRUNCATE checkpoints",
    "TRUNCATE ledger_head",
    "INSERT INTO ledger_head SELECT * FROM ledger_head ON CONFLICT (id) DO UPDATE SET size = 0",
    "TRUNCATE entries, artefacts CASCADE",
    "INSERT INTO entries SELECT * FROM entries WHERE position = 1"
    " ON CONFLICT (position) DO UPDATE SET type = 'other'",
    "SET LOCAL session_replication_role = replica; DELETE FROM entries",
    "SET LOCAL session_replication_role = replica; TRUNCATE entries",
    "SET LOCAL session_replication_role = replica; DELETE FROM tiles",
    "SET LOCAL session_replication_role = replica; UPDATE ledger_head SET size = 0",
]


def assert_refused(ledger: Ledger, statement: str) -> None:
    before = ledger.stored_bytes(0, 1000)
    kept = artefact(b"a plan")
    *first, last = statement.split("; ")
    with ledger.engine.connect() as connection:
        for part in first:
            connection.execute(text(part))
        with pytest.raises(DBAPIError, match="only grows"):
            connection.execute(text(last))
    assert ledger.stored_bytes(0, 1000) == before
    assert ledger.artefact(kept.sha256) == kept.content


def fill(ledger: Ledger, _: Settings) -> None:
    """A row in each of the guarded tables."""
    rows = [refused(n + 1) for n in range(255)]  # a full tile takes 256 entries
    put(ledger, "observations-cars", *rows, artefacts=[artefact(b"a plan")])
    with ledger.writing() as connection:
        insert_rows(connection, CHECKPOINTS, [(3, bytes(32), "a note", TIME)])


@pytest.fixture
def filled(settings: Settings, told_once: ToldOnce) -> Iterator[Ledger]:
    opened = open_ledger(retold(told_once(fill, settings), settings))
    yield opened
    opened.close()


@pytest.mark.parametrize("statement", CHANGES)
def test_no_entry_and_no_artefact_is_updated_or_deleted(filled: Ledger, statement: str) -> None:
    assert_refused(filled, statement)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", SQLITE_REPLACES)
def test_sqlite_replaces_nothing_either(filled: Ledger, statement: str) -> None:
    assert_refused(filled, statement)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("statement", POSTGRES_CHANGES)
def test_postgresql_truncates_and_upserts_nothing_either(filled: Ledger, statement: str) -> None:
    assert_refused(filled, statement)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "way_in",
    [
        "DROP TRIGGER entries_refuse_delete",
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE type = 'trigger'",
    ],
)
def test_who_owns_the_sqlite_file_gets_in_and_the_tree_notices(
    filled: Ledger, settings: Settings, way_in: str
) -> None:
    path = settings.ledger_url.removeprefix("sqlite:///")
    for statement in (*way_in.split("; "), "DELETE FROM entries WHERE position = 255"):
        with closing(sqlite3.connect(path)) as owner, owner:
            if "sqlite_master" in statement:
                owner.execute("PRAGMA writable_schema = ON")
            owner.execute(statement)
    with pytest.raises(LedgerDamaged, match="has 255 entries and its tree 256"):
        put(filled, "observations-cars", refused())


def test_the_ledger_goes_on_after_an_attempt(filled: Ledger) -> None:
    assert_refused(filled, "DELETE FROM entries")
    assert put(filled, "observations-cars", refused())[0].position == 256
