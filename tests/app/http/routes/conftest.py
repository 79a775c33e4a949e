"""The service on both databases, with a contract, and with a champion."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.app.http.routes.running import adopt, running, serve_champion


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    """On both databases: the contract car-price is adopted, and car-price/1 answers."""
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
        yield client


@pytest.fixture
def lone_service(sqlite_settings: Settings) -> Iterator[TestClient]:
    """On SQLite alone: the contract car-price is adopted, and car-price/1 answers."""
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        yield client


@pytest.fixture
def empty_service(sqlite_settings: Settings) -> Iterator[TestClient]:
    """On SQLite alone: nothing was adopted yet."""
    with running(sqlite_settings) as client:
        yield client
