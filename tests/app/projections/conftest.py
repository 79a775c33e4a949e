"""Ledgers of their own for tests that tell more than one story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.conftest import copy_of


@pytest.fixture
def fresh(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> Iterator[Callable[[], Ledger]]:
    """Ledgers with nothing but their first entry, each on a database of its own."""
    opened: list[Ledger] = []

    def make() -> Ledger:
        url = database_url
        if opened and url.startswith("sqlite"):
            template = request.getfixturevalue("sqlite_template")
            copy_of(template, tmp_path / f"{len(opened)}.db")
            url = f"sqlite:///{tmp_path / f'{len(opened)}.db'}"
        elif opened:
            url = request.getfixturevalue("fresh_postgres")(True)
        opened.append(open_ledger(Settings(database_url=url)))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()
