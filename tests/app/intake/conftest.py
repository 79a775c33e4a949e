"""A ledger in which one row is a person's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.car_ledger import CarLedger
from tests.app.people import People, stands_among_many
from tests.told import Story, ToldOnce, retold


@pytest.fixture
def people(settings: Settings, told_once: ToldOnce, of_people: Story) -> Iterator[People]:
    """One owned car among many: it was trained with, predicted and labelled."""
    told = told_once(of_people, settings)
    ledger = open_ledger(retold(told, settings))
    yield CarLedger(ledger, settings), told.gives
    ledger.close()


@pytest.fixture
def people_together(people: People) -> People:
    """The same, and the owned car came in again among others, in entries of many rows."""
    stands_among_many(*people)
    return people
