"""Connections: what SQLite and PostgreSQL promise before an append is acknowledged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, delete, make_url, text

from app.database.engine import create_database
from app.database.locks import take_lock
from app.ledger.store import Ledger
from app.projections.models import MODELS
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerUnwritable
from tests.ledger_events import put, refused
from tests.postgres import command, logging_in


def test_a_plain_postgresql_url_means_psycopg() -> None:
    settings = Settings()
    for url in ("postgresql://me@host/name", "postgres://me@host/name"):
        engine = create_database(url, settings)
        assert engine.driver == "psycopg"
    assert engine.url.host == "host"


def test_what_a_thread_still_holds_when_the_ledger_is_closed_is_closed_when_it_comes_back(
    ledger: Ledger,
) -> None:
    held, raw = _taken(ledger.engine)
    ledger.close()
    held.close()
    late, taken_late = _taken(ledger.engine)
    late.close()
    assert [_is_open(each) for each in (raw, taken_late)] == [False, False]


def _taken(engine: Engine) -> tuple[Connection, Any]:
    held = engine.connect()
    held.execute(text("SELECT 1"))
    return held, held.connection.driver_connection


def _is_open(raw: Any) -> bool:
    try:
        raw.execute("SELECT 1")
    except (sqlite3.ProgrammingError, psycopg.OperationalError):
        return False
    return True


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_commits_to_the_disk_before_it_answers(ledger: Ledger) -> None:
    with ledger.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}  # 2: FULL


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_postgresql_commits_to_the_disk_whatever_the_database_is_set_to(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        connection.execute(text("SET synchronous_commit = off"))
        connection.commit()
        take_lock(connection, 1)
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == (
            "read committed"
        )


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_reader_cannot_write_and_leaves_no_trace_on_its_connection(ledger: Ledger) -> None:
    with (
        pytest.raises(Exception, match="read-only transaction"),
        ledger.connect() as connection,
    ):
        connection.execute(delete(MODELS))
    with ledger.writing() as connection:
        connection.execute(delete(MODELS))


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_connection_that_has_read_asks_the_server_for_no_more_than_a_new_one(
    ledger: Ledger, settings: Settings
) -> None:
    """Given a login that is set to read only, as everybody is on a stand-by, and a connection that
    has read: it is refused as a new one is, and does not ask for a transaction that writes."""
    with logging_in(settings.ledger_url, "whyledger_app") as url:
        role = make_url(url).username
        command(settings.ledger_url, f"ALTER ROLE {role} SET default_transaction_read_only = on")
        with closing(open_ledger(settings.model_copy(update={"database_url": url}))) as looking:
            assert looking.size() == 1
            with pytest.raises(LedgerUnwritable, match=r"read-only transaction.*no stand-by"):
                put(looking, "observations-cars", refused())
    assert ledger.size() == 1
