"""Ledgers of real cars for cycles that really train; what takes seconds is made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.events.events import Row
from tests.app.car_ledger import CarLedger, bootstrapped
from tests.app.cycle.forked_worker import start_forked_worker
from tests.app.people import trained_on_people
from tests.postgres import reading
from tests.told import Story, copied


@pytest.fixture(scope="session")
def bootstrapped_state(
    registry_store: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A state directory whose ledger holds 1971 to 1975 and the first champion."""
    state = tmp_path_factory.mktemp("bootstrapped") / "state"
    state.mkdir()
    shutil.copy(registry_store, state / "mlflow.db")
    shutil.copy(sqlite_template, state / "ledger.db")
    settings = Settings(state_dir=state)
    ledger = open_ledger(settings)
    cars = bootstrapped(CarLedger(ledger, settings))
    follow_champion(ledger, settings, cars.model)  # as the worker does, or the next one has to
    ledger.close()
    return state


@pytest.fixture
def new_cars(
    sqlite_ledger: Ledger, sqlite_settings: Settings, with_registry: Callable[[Settings], Settings]
) -> CarLedger:
    """A fresh SQLite file; nothing is adopted yet."""
    return CarLedger(sqlite_ledger, with_registry(sqlite_settings))


@pytest.fixture
def new_cars_on_both(
    ledger: Ledger, settings: Settings, with_registry: Callable[[Settings], Settings]
) -> CarLedger:
    """A fresh database, once on SQLite and once on PostgreSQL; nothing is adopted yet."""
    return CarLedger(ledger, with_registry(settings))


@pytest.fixture
def cars(bootstrapped_state: Path, tmp_path: Path) -> Iterator[CarLedger]:
    """1971 to 1975 were observed, and `car-price/1` serves."""
    settings = Settings(state_dir=copied(bootstrapped_state, tmp_path / "state"))
    ledger = open_ledger(settings)
    yield CarLedger(ledger, settings)
    ledger.close()


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles run in processes that need not import what trains."""
    monkeypatch.setattr("app.cycle.starting.start_worker", start_forked_worker)


@pytest.fixture(scope="session")
def of_people(registry_store: Path) -> Story:
    """The story of `trained_on_people`; it gives the row that is a person's."""

    def tell(ledger: Ledger, settings: Settings) -> Row:
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        return trained_on_people(ledger, settings)[1]

    return tell


@pytest.fixture
def reader(settings: Settings) -> Iterator[Callable[..., Settings]]:
    """Makes a PostgreSQL login that may only read these schemas."""
    with ExitStack() as made:

        def make(*schemas: str) -> Settings:
            url = made.enter_context(reading(settings.database_url, *schemas))
            return settings.model_copy(update={"database_url": url})

        yield make
