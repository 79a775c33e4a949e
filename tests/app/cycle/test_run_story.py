"""1976 to 1990 with both shipped contracts: the story is the one `docs/semantics.md` tells."""

from __future__ import annotations

from collections import Counter

import pytest

from app.projections.cycles import list_cycles
from app.projections.rebuild import rebuild
from tests.app.car_ledger import CarLedger, bootstrapped

YEARS = range(1976, 1991)


@pytest.mark.parametrize(
    ("model", "promotions", "keeps", "rejections"),
    [
        pytest.param("car-price", range(9, 11), range(4, 6), range(2), id="car-price"),
        pytest.param("car-sales", range(7, 13), range(3, 8), range(3), id="car-sales"),
    ],
)
def test_fifteen_years_are_kept_promoted_and_rejected_as_often_as_simulated(
    new_cars: CarLedger, model: str, promotions: range, keeps: range, rejections: range
) -> None:
    new_cars.model = model
    cars = bootstrapped(new_cars)
    for year in YEARS:
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
    assert ends["promoted"] in promotions
    assert ends["kept"] in keeps
    assert ends["rejected"] in rejections
    assert sum(ends[end] for end in ("promoted", "kept", "rejected")) == len(YEARS)
    view = cars.view()
    assert (view.promotions, view.decisions) == (1 + ends["promoted"], 1 + len(YEARS))
    assert rebuild(cars.ledger).differing == ()
