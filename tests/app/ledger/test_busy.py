"""A ledger that is in use, full or out of reach says so in time, and keeps nothing by half."""

from __future__ import annotations

import sqlite3
import threading
import time

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import busy_is_refused, create_database
from app.database.locks import take_lock
from app.database.storage import StorageFailed
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerBusy, LedgerUnwritable
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS
from tests.postgres import bound_files


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, busy_timeout_seconds=0.3)


def test_an_append_beside_another_writer_is_refused_in_time(
    ledger: Ledger, settings: Settings
) -> None:
    elsewhere = create_database(settings.ledger_url, settings)
    with elsewhere.connect() as connection:
        take_lock(connection, 1)
        began = time.monotonic()
        with pytest.raises(LedgerBusy, match=r"in use by another writer for 0\.3 s; nothing was"):
            put(ledger, "observations-cars", refused())
        assert time.monotonic() - began > settings.busy_timeout_seconds / 2
        assert ledger.size() == 1  # readers do not wait
        connection.rollback()
    put(ledger, "observations-cars", refused())
    elsewhere.dispose()


def test_an_append_waits_for_a_short_one_to_end(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = open_ledger(settings.model_copy(update={"busy_timeout_seconds": HANGS_SECONDS}))
    elsewhere = create_database(settings.ledger_url, settings)
    with elsewhere.connect() as connection:
        take_lock(connection, 1)
        later, begin = threading.Timer(0.1, connection.rollback), patient._writer._begin

        def begun(deadline: float) -> object:
            later.start()
            return begin(deadline)

        monkeypatch.setattr(patient._writer, "_begin", begun)
        put(patient, "observations-cars", refused())
        later.join()
    patient.close()
    elsewhere.dispose()


def test_threads_of_one_process_are_refused_in_time_too(ledger: Ledger) -> None:
    with ledger.writing():
        refusals: list[LedgerBusy] = []

        def append() -> None:
            try:
                put(ledger, "observations-cars", refused())
            except LedgerBusy as busy:
                refusals.append(busy)

        threads = [threading.Thread(target=append) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refusals) == 3
    assert ledger.size() == 1


def test_a_database_out_of_reach_is_named_with_its_remedy() -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    settings = Settings(database_url=url, busy_timeout_seconds=0.3)
    with pytest.raises(LedgerBusy, match=r"cannot be reached.*WHYLEDGER_DATABASE_URL"):
        open_ledger(settings)


def test_a_directory_that_cannot_be_made_is_no_database_that_has_to_be_started() -> None:
    settings = Settings(database_url="sqlite:////proc/nowhere/ledger.db")
    with pytest.raises(StorageFailed, match=r"^/proc/nowhere cannot be used: .*path") as refused:
        open_ledger(settings)
    assert "DATABASE_URL" not in refused.value.message


def test_a_full_disk_is_called_one_and_told_until_a_write_is_taken(sqlite_ledger: Ledger) -> None:
    with sqlite_ledger.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    full = True

    def bounded(raw: sqlite3.Connection, *_: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {pages if full else 10**6}")

    event.listen(sqlite_ledger.engine, "checkout", bounded)
    with pytest.raises(LedgerUnwritable, match=r"full.*Make room on its disk") as refused_once:
        put(sqlite_ledger, "observations-cars", *[refused()] * 1000)
    assert sqlite_ledger.unwritable == refused_once.value.message
    full = False
    put(sqlite_ledger, "observations-cars", refused())
    assert sqlite_ledger.unwritable is None


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_file_of_postgresql_that_may_not_grow_is_a_disk_without_room(ledger: Ledger) -> None:
    """Given a bound to the size of files, or a quota, for which PostgreSQL has no code."""
    with ledger.engine.connect() as connection:
        backend = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        bound_files([backend], 16 * 1024**2)
        with (
            pytest.raises(LedgerBusy, match=r"cannot write: .*File too large.*Make room"),
            busy_is_refused(1),
        ):
            connection.exec_driver_sql("CREATE TEMP TABLE t AS SELECT generate_series(1, 600000)")
        connection.invalidate()
    assert put(ledger, "observations-cars", refused())[0].position == 1


def test_other_errors_of_the_database_are_not_called_busy(ledger: Ledger) -> None:
    with pytest.raises(DBAPIError) as raised, ledger.connect() as connection:
        connection.execute(text("SELECT * FROM nowhere"))
    assert "nowhere" in str(raised.value.orig)
