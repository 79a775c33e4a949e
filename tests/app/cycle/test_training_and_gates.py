"""What is trained on which rows, and which candidates may not serve: told with real cars."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.cause import Cause
from app.cycle.promotions import roll_back
from app.cycle.run import run_cycle
from app.projections.opening import open_ledger
from tests.app.car_ledger import (
    CarLedger,
    document,
    production,
    types_of,
    year_end,
)
from tests.app.cycle.interrupted import Interrupted


def test_both_sides_are_judged_on_rows_neither_was_trained_on(cars: CarLedger) -> None:
    cars.lives_through(1976)
    state = cars.lives_through(1977)
    assert state.merged is not None
    assert state.trained is not None
    trained_on = [
        set(orjson.loads(cars.ledger.artefact(sha256)))
        for sha256 in (
            cars.cycle(1).state["cycle.candidate-trained"]["identities_sha256"],
            state.merged.identities_sha256,
        )
    ]
    held = {
        f"year={row['year']}|car_id={row['car_id']}"
        for row in cars.rows([1977])
        if row["vintage_id"] in state.merged.holdout_groups
    }
    assert len(held) == state.merged.holdout_rows
    assert all(not held & rows for rows in trained_on)
    assert state.merged.holdout_rows >= 0.4 * len(cars.rows([1977]))
    assert state.merged.merged_rows == len(cars.rows(range(1971, 1978)))
    assert state.merged.training_rows == state.merged.merged_rows - state.merged.holdout_rows
    assert state.trained.training_rows == len(trained_on[1])
    for identity in trained_on[1]:
        assert identity.startswith("year=19")


def test_a_failed_training_is_an_event_and_consumes_no_samples(new_cars: CarLedger) -> None:
    cars = new_cars
    cars.adopts().observes(cars.rows([1971], most=8))
    failed = cars.runs(year_end(1971))
    assert failed.training_failed is not None
    assert failed.training_failed.step == "train"
    assert "4 labelled training rows; at least 10 are needed" in failed.training_failed.reason
    assert (cars.cycle(1).conclusion, cars.view().champion) == ("failed", None)
    assert (cars.view().trainings, cars.view().candidates) == (1, 0)

    cars.observes(cars.rows(range(1971, 1976))[8:])
    state = cars.runs(year_end(1975))
    assert state.merged is not None
    assert state.merged.new_samples == len(cars.rows(range(1971, 1976)))
    assert cars.view().champion == "car-price/1"


def test_a_state_directory_that_cannot_be_written_fails_the_training_with_the_path(
    new_cars: CarLedger,
) -> None:
    cars = new_cars
    (cars.settings.state_dir / "merged").write_text("in the way")
    cars.adopts().observes(cars.rows([1971]))
    state = cars.runs(year_end(1971))
    assert state.training_failed is not None
    assert state.training_failed.step == "merge"
    assert "merged" in state.training_failed.reason
    assert state.health is not None
    assert state.health.conclusion == "failed"


def test_a_holdout_below_the_minimum_is_not_enough_rows_and_production_stays(
    new_cars: CarLedger,
) -> None:
    cars = new_cars
    cars.adopts().observes(cars.rows([1971], most=40))
    state = cars.runs(year_end(1971))
    assert state.evaluated is not None
    assert not state.evaluated.passed
    assert state.evaluated.reason.startswith("not enough rows: the holdout has ")
    assert types_of(cars.ledger, "cycle-car-price-1")[-2:] == [
        "cycle.candidate-evaluated",
        "cycle.health-reported",
    ]
    assert (cars.cycle(1).conclusion, cars.view().rejections) == ("rejected", 1)
    assert cars.view().champion is None
    assert state.health is not None
    assert state.health.state == "no champion"

    # A rejected training has read its labels: only later ones are new.
    cars.observes(cars.rows([1971])[40:])
    again = cars.runs(year_end(1971))
    assert again.merged is not None
    assert again.merged.new_samples == len(cars.rows([1971])) - 40


def test_labels_that_say_nothing_do_not_beat_the_mean(new_cars: CarLedger) -> None:
    cars = new_cars
    cars.adopts()
    rows = cars.rows(range(1971, 1976))
    prices = [3.0 if n % 2 else 30.0 for n in range(len(rows))]
    cars.observes([row | {"price": p} for row, p in zip(rows, prices, strict=True)])
    state = cars.runs(year_end(1975))
    assert state.evaluated is not None
    assert not state.evaluated.passed
    assert "of its training target, on " in state.evaluated.reason
    assert state.compared is None
    assert cars.view().champion is None


def test_a_rejected_candidate_leaves_production_byte_identical(cars: CarLedger) -> None:
    cars.adopts(margin=0.5)  # no candidate is better by a factor of e to the half
    before = production(cars)
    state = cars.lives_through(1976, force="to see it rejected")
    assert state.compared is not None
    assert not state.compared.passed
    assert state.compared.champion_version == "car-price/1"
    assert "margin of 0.5" in state.compared.reason or "is not below" in state.compared.reason
    assert state.settled is None
    assert (cars.cycle(2).conclusion, cars.view().rejections) == ("rejected", 1)
    assert production(cars) == before


def test_a_rollback_between_the_gate_and_the_promotion_refuses_the_promotion(
    cars: CarLedger,
) -> None:
    cars.lives_through(1976)
    assert cars.lives_through(1977).settled is not None
    cars.answers(cars.rows([1980]))
    cycle = cars.starts(year_end(1980))
    other = open_ledger(cars.settings)

    def undo() -> None:
        roll_back(
            other,
            "car-price",
            to="car-price/1",
            reason="customers complained",
            cause=Cause.unauthenticated("another"),
        )

    meddled = Interrupted(cars.ledger, before="cycle.promotion-settled", then=undo)
    state = run_cycle(meddled, cars.settings, cycle)
    other.close()
    assert state.compared is not None
    assert state.compared.passed
    assert state.settled is not None
    assert not state.settled.promoted
    assert state.settled.reason == (
        "cannot promote 'car-price/3': its deployment gate compared it with 'car-price/2', and "
        "'car-price/1' serves now. Run another cycle."
    )
    assert cars.view().champion == "car-price/1"
    assert cars.cycle(4).conclusion == "rejected"
    assert cars.view().promotions == 2


def without_space(cars: CarLedger, **changes: Any) -> CarLedger:
    """The contract of cars whose space is measured no more; the one in force, without it."""
    contract = document("data", "contracts", "car-price.yaml")
    fewer = [feature for feature in contract["features"] if feature["name"] != "space"]
    ignored = [*contract["ignored"], {"name": "space", "because": "no longer measured"}]
    return cars.adopts(features=fewer, ignored=ignored, **changes)


def test_a_champion_that_cannot_predict_the_holdout_is_replaced_only_by_force(
    cars: CarLedger,
) -> None:
    without_space(cars).observes(cars.rows([1976]))
    state = cars.runs(year_end(1976), force="space is no longer measured")
    assert state.compared is not None
    assert (state.compared.passed, state.compared.champion) == (True, None)
    assert state.compared.reason.startswith(
        "car-price/1 cannot predict the holdout rows, so nothing was compared: 0 of "
    )
    assert state.compared.reason.endswith(
        "local:unauthenticated forced this cycle (space is no longer measured), so the candidate, "
        "which beat mean and median, takes its place."
    )
    assert cars.view().champion == "car-price/2"


def test_by_the_first_form_such_a_champion_stays_even_then(cars: CarLedger) -> None:
    without_space(cars).observes(cars.rows([1976]))
    state = cars.runs(year_end(1976), force="space is no longer measured", rules={})
    assert state.compared is not None
    assert not state.compared.passed
    assert state.compared.reason.startswith(
        "car-price/1 cannot predict the holdout rows, so nothing was compared and production stays"
    )
    assert cars.view().champion == "car-price/1"


def test_a_dropped_feature_leaves_the_rows_that_both_can_predict(cars: CarLedger) -> None:
    rows = cars.rows([1976])
    half = len(rows) // 2
    cars.observes(rows[:half])
    without_space(cars, holdout={"share": 0.9, "rows_min": 20})
    cars.observes([{k: v for k, v in row.items() if k != "space"} for row in rows[half:]])
    state = cars.runs(year_end(1976), force="space is no longer measured")
    assert state.merged is not None
    assert state.compared is not None
    assert state.compared.champion is not None
    assert 20 <= state.compared.rows < state.merged.holdout_rows
    left = state.merged.holdout_rows - state.compared.rows
    assert state.compared.reason.endswith(
        f"{left} of {state.merged.holdout_rows} holdout rows lack what car-price/1 needs."
    )


@pytest.mark.parametrize("correction", [1.0, 2.0])
def test_a_corrected_label_is_no_new_sample(cars: CarLedger, correction: float) -> None:
    rows = cars.rows([1976])
    cars.answers(rows)
    cars.observes([row | {"price": float(row["price"] or 0) * correction} for row in rows[:10]])
    state = cars.runs(year_end(1976), force="to merge")
    assert state.merged is not None
    assert state.merged.new_samples == len(rows)
    assert state.merged.duplicates == 10
