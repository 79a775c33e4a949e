"""Cars whose first champion was trained in another way than most, once for all their tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.decisions.rule_numbers import FIRST, NEWEST
from tests.app.car_ledger import CarLedger, bootstrapped
from tests.told import Story, ToldOnce, retold


@pytest.fixture(scope="session")
def of_cars_as_published(registry_store: Path) -> Story:
    """1971 to 1975 were observed, and the champion was tested by the first form of the holdout."""

    def tell(ledger: Ledger, settings: Settings) -> None:
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        bootstrapped(CarLedger(ledger, settings), rules=dict(NEWEST) | {"holdout": FIRST})

    return tell


@pytest.fixture
def cars_as_published(
    sqlite_settings: Settings, told_once: ToldOnce, of_cars_as_published: Story
) -> Iterator[CarLedger]:
    """As `cars`, but for its holdout: drawn by the first form of that rule."""
    told = told_once(of_cars_as_published, sqlite_settings)
    ledger = open_ledger(retold(told, sqlite_settings))
    yield CarLedger(ledger, sqlite_settings)
    ledger.close()


@pytest.fixture(scope="session")
def of_cars_in_groups(registry_store: Path) -> Story:
    """1971 to 1975 were observed, under a contract whose rows depend within their group."""

    def tell(ledger: Ledger, settings: Settings) -> None:
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        bootstrapped(CarLedger(ledger, settings), blocks="group")

    return tell


@pytest.fixture
def cars_in_groups(
    sqlite_settings: Settings, told_once: ToldOnce, of_cars_in_groups: Story
) -> Iterator[CarLedger]:
    """That story, and a copy of its ledger."""
    ledger = open_ledger(retold(told_once(of_cars_in_groups, sqlite_settings), sqlite_settings))
    yield CarLedger(ledger, sqlite_settings)
    ledger.close()
