"""MLflow's store alone is full or locked: the cycle ends, says why, and the next one trains."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from app.projections.rebuild import rebuild
from tests.app.car_ledger import CarLedger, production, year_end

PADDING_BYTES = 16 * 1024**2  # so that no other file is nearly as large as the store


@contextmanager
def full(store: Path) -> Iterator[None]:
    """As on a full disk: the store's tables stand behind the padding, where nobody may write."""
    with closing(sqlite3.connect(store)) as connection:
        kept = "\n".join(connection.iterdump())
    store.unlink()
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE padding (bytes BLOB)")
        connection.execute("INSERT INTO padding VALUES (zeroblob(?))", (PADDING_BYTES,))
        connection.commit()
        connection.executescript(kept)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (PADDING_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Somebody else writes into it, for longer than anybody waits."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("trouble", "saying"), [(full, "disk"), (locked, "locked")], ids=["full", "locked"]
)
def test_a_store_that_takes_nothing_ends_the_cycle_with_its_reason_and_the_next_one_trains(
    cars: CarLedger, trouble: Callable[[Path], AbstractContextManager[None]], saying: str
) -> None:
    serving = production(cars)
    with trouble(cars.settings.state_dir / "mlflow.db"):
        failed = cars.lives_through(1976, force="a new supplier")
    assert failed.ended
    assert failed.training_failed is not None
    assert saying in failed.training_failed.reason
    assert production(cars) == serving
    again = cars.runs(year_end(1976), force="the store has room again")
    assert again.ended
    assert again.trained is not None
    assert rebuild(cars.ledger).differing == ()
