"""One serving process: whatever fails, at its start or at its end, what was started is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text, update

from app.cause import Cause
from app.ledger.store import Ledger
from app.process import Process
from app.projections.cycles import CYCLES
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerDamaged
from tests.app.proof.forger import change, edited
from tests.ledger_events import contract_adopted, put, started
from tests.patience import until

ASKED = Cause.unauthenticated("asked")


@contextmanager
def opened(settings: Settings) -> Iterator[Ledger]:
    ledger = open_ledger(settings)
    yield ledger
    ledger.close()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A process on these has every thread there can be."""
    settings.state_dir.mkdir()
    return settings.model_copy(update={"anchor_file": str(settings.state_dir / "anchor")})


@pytest.fixture
def connected(settings: Settings) -> Callable[[], bool]:
    """Whether anybody is connected to the database."""
    if settings.database_url.startswith("sqlite"):
        file = settings.database_url.removeprefix("sqlite:///")
        return lambda: Path(f"{file}-wal").exists()  # the last connection takes it along

    def others() -> bool:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        with psycopg.connect(settings.database_url) as connection:
            found = connection.execute(f"SELECT 1 FROM pg_stat_activity WHERE {others}".encode())
            return found.fetchone() is not None

    return others


@pytest.fixture
def threads() -> Callable[[], set[threading.Thread]]:
    """Those that came since the test began."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


def test_a_start_that_fails_at_its_last_step_leaves_no_thread_and_no_connection(
    settings: Settings,
    threads: Callable[[], set[threading.Thread]],
    connected: Callable[[], bool],
) -> None:
    with opened(settings) as ledger:  # which cycles were cut off cannot be read, nor derived again
        put(ledger, "cycle-cars-1", started(1))
        with ledger.writing() as connection:
            connection.execute(update(CYCLES).values(state="{"))
        (content,) = ledger.stored_bytes(1, 1)
        statement = "UPDATE entries SET bytes = :content WHERE position = 1"
        change(ledger, statement, content=edited(content, number=7))

    with pytest.raises(LedgerDamaged, match="ledger entry 1: the stored bytes"):
        Process.start(settings)

    assert threads() == set()
    until(lambda: not connected())  # PostgreSQL notices a moment later


def test_what_fails_while_a_process_ends_keeps_nothing_else_open(
    settings: Settings,
    threads: Callable[[], set[threading.Thread]],
    connected: Callable[[], bool],
) -> None:
    with opened(settings) as ledger:
        put(ledger, "model-cars", contract_adopted())
    process = Process.start(settings)
    assert threads()
    process.refusals.count("cars", "events", 1, {"hpwt: missing": 1}, ASKED)
    process.refusals.count("cars", "events", 1, {"hpwt: missing": 1}, ASKED)  # waits for a minute
    with process.ledger.writing() as connection:
        connection.execute(text("ALTER TABLE entries RENAME TO elsewhere"))

    with pytest.raises(Exception, match="entries"):
        process.close()

    assert threads() == set()
    until(lambda: not connected())
