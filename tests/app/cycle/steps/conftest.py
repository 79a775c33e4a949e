"""Cars whose first champion was trained on the draw that published figures are of."""

from __future__ import annotations

import pytest

from domain.decisions.rule_numbers import FIRST, NEWEST
from tests.app.car_ledger import CarLedger, bootstrapped


@pytest.fixture
def cars_as_published(new_cars: CarLedger) -> CarLedger:
    """As `cars`, but for its holdout: drawn by the first form of that rule."""
    return bootstrapped(new_cars, rules=dict(NEWEST) | {"holdout": FIRST})
