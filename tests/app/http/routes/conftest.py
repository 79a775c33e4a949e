"""The service on both databases, with a contract, and with a champion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.ledger.store import Ledger
from app.settings import Settings
from tests.app.http.routes.running import adopt, running, serve_champion
from tests.told import ToldOnce, retold


def a_champion_answers(_: Ledger, settings: Settings) -> None:
    """The contract car-price is adopted, and car-price/1 answers."""
    with running(settings) as client:
        adopt(client)
        serve_champion(client)


@pytest.fixture
def service(settings: Settings, told_once: ToldOnce) -> Iterator[TestClient]:
    """On both databases: the contract car-price is adopted, and car-price/1 answers."""
    with running(retold(told_once(a_champion_answers, settings), settings)) as client:
        yield client


@pytest.fixture
def lone_service(sqlite_settings: Settings, told_once: ToldOnce) -> Iterator[TestClient]:
    """On SQLite alone: the contract car-price is adopted, and car-price/1 answers."""
    told = told_once(a_champion_answers, sqlite_settings)
    with running(retold(told, sqlite_settings)) as client:
        yield client


@pytest.fixture
def empty_service(sqlite_settings: Settings) -> Iterator[TestClient]:
    """On SQLite alone: nothing was adopted yet."""
    with running(sqlite_settings) as client:
        yield client
