"""A contract changes its scale while a champion of the earlier one serves: told with real cars."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from app.audit.health import current_health
from app.cycle.steps import judging
from app.cycle.steps.knowledge import Knowledge, Work
from app.cycle.steps.scale import on_scale, rmse_on_scale
from app.cycle.stream import read_cycle
from app.web.overview import overview_page
from domain.errors import PredictionsUnusable
from domain.events.cycle_events import CycleEvent, CycleHalted, DriftMeasured
from tests.app.car_ledger import CarLedger, bootstrapped, document, year_end


def scaled(transform: str) -> dict[str, Any]:
    """The target of the shipped contract, on this scale."""
    target: dict[str, Any] = document("data", "contracts", "car-price.yaml")["target"]
    return target | {"transform": transform}


def drift_step(cars: CarLedger, cycle: str) -> CycleEvent:
    """What the drift step of a started cycle leaves."""
    state, history = read_cycle(cars.ledger, cycle)
    known = Knowledge(cars.ledger, cars.settings, state.begun, history.entries[0].position)
    return judging.drift(Work(known, state)).event


def target_p(measured: CycleEvent | None) -> float:
    """The p-value of the predictions against the training target."""
    assert isinstance(measured, DriftMeasured)
    assert measured.report is not None
    return measured.report.predictions[0].ks_p_value


def test_a_champion_trained_on_logarithms_is_judged_by_them_whatever_the_contract_says_today(
    cars_as_published: CarLedger,
) -> None:
    cars = cars_as_published
    cars.adopts(target=scaled("none"))
    cars.answers(cars.rows([1976]))
    state = cars.runs(year_end(1976))
    assert target_p(state.drift) == pytest.approx(0.106, abs=5e-4)
    assert state.decided is not None
    assert state.decided.outcome == "keep: rules not met"
    assert cars.view().champion == "car-price/1"
    assert state.drift is not None
    assert state.drift.champion_rmse == pytest.approx(0.258, abs=5e-4)  # of logarithms
    assert state.health is not None
    assert state.health.rmse_since_promotion == pytest.approx(state.drift.champion_rmse)
    with cars.ledger.connect() as connection:
        now = current_health(
            connection, cars.view(), year_end(1976), alarm=None, clock_skew_seconds_max=1e12
        )
    for reasons in (state.health.reasons, now.reasons):
        [held] = [reason for reason in reasons if "error since promotion" in reason]
        assert held.endswith(
            "is on the log scale, which car-price/1 was trained on, and held against nothing: the "
            "contract's bound of 0.4 is on the native scale. Force a retraining, or adopt a "
            "contract with the scale of the champion"
        )
    page = overview_page(cars.ledger, "car-price", year_end(1976), {}, clock_skew_seconds_max=1e12)
    assert "RMSE on the log scale, n = 99 rows" in page
    assert "RMSE on the log (production) or native (holdouts judged by the contract) scale" in page


def test_a_cycle_begun_under_the_first_form_is_judged_on_the_contracts_scale(
    cars: CarLedger,
) -> None:
    cars.adopts(target=scaled("none"))
    cars.answers(cars.rows([1976]))
    assert target_p(drift_step(cars, cars.starts(year_end(1976), rules={}))) < 1e-90


def test_a_negative_prediction_of_an_unscaled_champion_is_measured_and_never_a_crash(
    new_cars: CarLedger,
) -> None:
    cars = bootstrapped(new_cars, target=scaled("none"))
    cars.adopts(target=scaled("log"))
    rows = cars.rows([1976])
    cars.answers([rows[0] | {"hpwt": 0.05, "air": 0, "space": 0.3}, *rows[1:]])
    measured = drift_step(cars, cars.starts(year_end(1976)))
    assert target_p(measured) < 1
    assert isinstance(measured, DriftMeasured)
    assert measured.champion_rmse == pytest.approx(3.19, abs=0.01)  # thousands of USD

    # Under the first form the contract's scale held, on which this prediction has no place.
    halted = drift_step(cars, cars.starts(year_end(1976), rules={}))
    assert isinstance(halted, CycleHalted)
    assert halted.reason.startswith("drift cannot be measured: a prediction of car-price/1 is -")
    assert "which has no logarithm" in halted.reason
    assert halted.reason.endswith("or force a retraining.")

    forced = drift_step(cars, cars.starts(year_end(1976), rules={}, force="the scale changed"))
    assert isinstance(forced, DriftMeasured)
    assert (forced.report, forced.clean_rate) == (None, None)


def test_values_go_to_the_logarithmic_scale_to_the_bit_and_those_at_0_are_refused() -> None:
    assert on_scale("none", np.array([-1.0, 2.0]), "a label").tolist() == [-1.0, 2.0]
    assert on_scale("log", np.array([0.1, 7.3]), "a label").tolist() == [
        math.log(0.1),
        math.log(7.3),
    ]
    with pytest.raises(PredictionsUnusable, match="a label is 0, which has no logarithm"):
        on_scale("log", np.array([1.0, 0.0]), "a label")


def test_an_error_is_on_the_plans_scale_and_unknown_where_a_label_has_no_place_on_it() -> None:
    assert rmse_on_scale("none", np.array([1.0, 2.0]), np.array([2.0, 4.0])) == pytest.approx(
        math.sqrt(2.5)
    )
    assert rmse_on_scale("log", np.array([math.e]), np.array([1.0])) == pytest.approx(1)
    assert rmse_on_scale("log", np.array([1.0]), np.array([-1.0])) is None
    assert rmse_on_scale("none", np.array([]), np.array([])) is None
