"""The last years alone: what trains, what drift is measured against, and what cannot judge."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.projections.champions import get_champion
from app.projections.windows import TRAINED_ON
from domain.errors import ContractInvalid
from domain.events.events import Row
from tests.app.car_ledger import CarLedger, bootstrapped, document, year_end


def reference_of(cars: CarLedger) -> dict[str, Any]:
    """The frozen reference of the car-price that serves."""
    view = cars.view()
    assert view.champion is not None
    with cars.ledger.connect() as connection:
        champion = get_champion(connection, cars.model, view.champion)
    found: dict[str, Any] = orjson.loads(cars.ledger.artefact(champion.reference_sha256))
    return found


def test_a_pool_of_the_last_years_trains_on_no_older_row(new_cars: CarLedger) -> None:
    new_cars.adopts(training_pool={"last": {"years": 3}}).observes(new_cars.rows(range(1971, 1976)))
    state = new_cars.runs(year_end(1975))
    assert state.merged is not None
    assert state.trained is not None
    assert state.merged.merged_rows == len(new_cars.rows(range(1973, 1976)))
    assert state.trained.trained_from == "1973-07-01T00:00:00.000000Z"
    assert reference_of(new_cars)["rows"] == state.trained.training_rows


def test_a_reference_of_the_last_year_holds_that_years_training_rows(new_cars: CarLedger) -> None:
    bootstrapped(new_cars, reference={"last": {"years": 1}})
    trained = new_cars.cycle(1).state["cycle.candidate-trained"]
    held = new_cars.cycle(1).state["cycle.data-merged"]["holdout_rows"]
    frozen = reference_of(new_cars)
    assert trained["trained_from"] == "1971-07-01T00:00:00.000000Z"
    assert frozen["rows"] == len(new_cars.rows([1975])) - held
    assert len(frozen["target"]) == len(frozen["out_of_fold"]) == frozen["rows"]

    state = new_cars.lives_through(1976)
    assert state.guarded is not None
    assert state.guarded.reference_start == "1975-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("form", [1, 2])
def test_rows_the_champion_was_trained_on_are_no_window_to_judge_it_by(
    new_cars: CarLedger, form: int
) -> None:
    cars_of = {year: new_cars.adopts().rows([year]) for year in range(1971, 1977)}
    columns = document("data", "contracts", "car-price.yaml")["columns"]
    sold = {"name": "sold_at", "type": "text", "meaning": "when it was sold"}
    new_cars.adopts(columns=[*columns, sold], event_time={"column": "sold_at", "as": "timestamp"})

    def sold_in(year: int, rows: list[Row]) -> list[Row]:
        return [row | {"sold_at": f"{year}-07-01T00:00:00.000000Z"} for row in rows]

    for year in range(1971, 1976):
        new_cars.observes(sold_in(year, cars_of[year]))
    new_cars.runs(year_end(1975))
    again, new = cars_of[1974], cars_of[1976]
    new_cars.answers(sold_in(1976, again)).answers(sold_in(1976, new))

    state = new_cars.runs(year_end(1976), rules={"window": form})
    assert state.guarded is not None
    judged, left_out = (new, {TRAINED_ON: len(again)}) if form == 2 else (again + new, {})
    assert (state.guarded.rows, state.guarded.left_out) == (len(judged), left_out)


@pytest.mark.parametrize("stretch", [{"last": {}}, {"last": {"years": 0}}, {"first": 1}, "some"])
def test_a_stretch_that_is_none_is_a_fault_of_the_contract(
    new_cars: CarLedger, stretch: object
) -> None:
    with pytest.raises(ContractInvalid, match="training_pool"):
        new_cars.adopts(training_pool=stretch)
