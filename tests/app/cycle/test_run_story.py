"""1976 to 1990 with both shipped contracts: the story is the one `docs/semantics.md` tells.

In `make test` car-sales, whose trainings take long, lives its first years; in `make soak` all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from app.projections.cycles import list_cycles
from app.projections.rebuild import rebuild
from tests.app.car_ledger import CarLedger, bootstrapped

FIRST = 1976


@dataclass(frozen=True)
class Years:
    """Until when a model lives, and how often each end comes, as simulated."""

    last: int
    promotions: range
    keeps: range
    rejections: range


LONG = {
    "car-price": Years(1990, range(9, 11), range(4, 6), range(2)),
    "car-sales": Years(1990, range(7, 13), range(3, 8), range(3)),
}
# A training of car-sales fits six forests: it lives until it was promoted and kept.
SHORT = {
    "car-price": LONG["car-price"],
    "car-sales": Years(1979, range(1, 3), range(2, 4), range(1)),
}


@pytest.mark.parametrize("model", ["car-price", "car-sales"])
def test_the_years_are_kept_promoted_and_rejected_as_often_as_simulated(
    new_cars: CarLedger, model: str, soaking: bool
) -> None:
    lived = (LONG if soaking else SHORT)[model]
    years = range(FIRST, lived.last + 1)
    new_cars.model = model
    cars = bootstrapped(new_cars)
    for year in years:
        champion = cars.view().champion
        state = cars.lives_through(year)
        assert state.decided is not None
        assert state.health is not None
        assert (cars.view().champion != champion) == (state.health.conclusion == "promoted")
        if state.decided.outcome == "retrain":
            assert all(clause.verdict == "met" for clause in state.decided.verdict.clauses)
            assert state.parity is not None
            assert state.parity.passed, state.parity.reason
            assert state.evaluated is not None
            assert state.evaluated.passed, state.evaluated.reason
        else:
            assert any(clause.verdict != "met" for clause in state.decided.verdict.clauses)
    with cars.ledger.connect() as connection:
        found = list_cycles(connection, model)
    ends = Counter(cycle.conclusion for cycle in found if cycle.outcome != "bootstrap")
    assert ends["promoted"] in lived.promotions
    assert ends["kept"] in lived.keeps
    assert ends["rejected"] in lived.rejections
    assert sum(ends[end] for end in ("promoted", "kept", "rejected")) == len(years)
    view = cars.view()
    assert (view.promotions, view.decisions) == (1 + ends["promoted"], 1 + len(years))
    assert rebuild(cars.ledger).differing == ()
