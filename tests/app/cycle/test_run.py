"""Every box of the flow, reached by real cars."""

from __future__ import annotations

import math

import pytest

from app.cycle.run import run_cycle
from app.serving.plan import load_plan
from tests.app.car_ledger import (
    CarLedger,
    bootstrapped,
    document,
    moved_to,
    production,
    types_of,
    year_end,
)

BOOTSTRAPPED = [
    "cycle.started",
    "cycle.window-guarded",
    "cycle.drift-measured",
    "cycle.decided",
    "cycle.data-merged",
    "cycle.candidate-trained",
    "cycle.parity-checked",
    "cycle.candidate-evaluated",
    "cycle.candidate-compared",
    "cycle.promotion-settled",
    "cycle.health-reported",
]
KEPT = [*BOOTSTRAPPED[:4], "cycle.health-reported"]


def test_the_first_years_bootstrap_keep_and_retrain_on_both_databases(
    new_cars_on_both: CarLedger,
) -> None:
    cars = bootstrapped(new_cars_on_both)
    assert types_of(cars.ledger, "cycle-car-price-1") == BOOTSTRAPPED
    first = cars.cycle(1)
    assert (first.outcome, first.conclusion) == ("bootstrap", "promoted")
    assert first.state["cycle.decided"]["sentence"].startswith("BOOTSTRAP: no champion yet")
    assert cars.view().champion == "car-price/1"
    measured = first.state["cycle.drift-measured"]
    assert (measured["reference_sha256"], measured["report"]) == (None, None)

    kept = cars.lives_through(1976)
    assert types_of(cars.ledger, "cycle-car-price-2") == KEPT
    assert kept.decided is not None
    assert kept.decided.outcome == "keep: rules not met"
    assert kept.guarded is not None
    assert (kept.guarded.rows, kept.guarded.left_out) == (len(cars.rows([1976])), {})
    assert kept.guarded.reference_end == cars.view().trained_until
    assert cars.view().champion == "car-price/1"

    retrained = cars.lives_through(1977)
    assert types_of(cars.ledger, "cycle-car-price-3") == BOOTSTRAPPED
    assert retrained.decided is not None
    assert retrained.decided.outcome == "retrain"
    assert all(clause.verdict == "met" for clause in retrained.decided.verdict.clauses)
    assert retrained.compared is not None
    assert retrained.compared.champion is not None
    assert retrained.compared.candidate.rmse < retrained.compared.champion.rmse
    assert retrained.health is not None
    assert (retrained.health.conclusion, retrained.health.state) == ("promoted", "healthy")
    assert (retrained.health.promotions, retrained.health.trainings) == (2, 2)
    assert cars.view().champion == "car-price/2"


def test_the_same_cars_sold_again_are_no_drift(cars: CarLedger) -> None:
    cars.answers(moved_to(1976, cars.rows(range(1971, 1976))[::3]), labelled=False)
    state = cars.runs(year_end(1976))
    assert state.decided is not None
    assert state.decided.outcome == "keep: no drift"
    assert state.decided.sentence.startswith("KEEP: no drift")
    assert state.drift is not None
    assert state.drift.champion_rmse is None


def test_an_empty_window_is_nothing_to_judge(cars: CarLedger) -> None:
    state = cars.runs(year_end(1976))
    assert state.decided is not None
    assert state.decided.outcome == "keep: nothing to judge"
    assert state.decided.sentence == "KEEP: nothing to judge, the window is empty"
    assert state.guarded is not None
    assert state.guarded.rows == 0
    assert state.drift is not None
    assert state.drift.report is None
    unknown = [c.verdict for c in state.decided.verdict.clauses if c.fact != "new_samples"][:2]
    assert unknown == ["unknown", "unknown"]


def test_a_window_in_another_unit_halts_the_cycle_and_is_never_no_drift(cars: CarLedger) -> None:
    metric: list[dict[str, float | int | str | None]] = [
        row | {"mpg": min(8.9, float(row["mpg"] or 0) * 3.5)} for row in cars.rows([1976])
    ]
    before = production(cars)
    state = cars.answers(metric).runs(year_end(1976))
    assert types_of(cars.ledger, "cycle-car-price-2") == [
        "cycle.started",
        "cycle.halted",
        "cycle.health-reported",
    ]
    assert state.halted is not None
    assert state.halted.reason.startswith("the mean of mpg is ")
    assert state.decided is None
    assert (cars.cycle(2).conclusion, cars.cycle(2).outcome) == ("halted", None)
    assert production(cars) == before


def test_too_many_refused_rows_halt_the_cycle(cars: CarLedger) -> None:
    rows = cars.rows([1976])
    state = cars.answers(rows).refuses(10).runs(year_end(1976))
    assert state.halted is not None
    share = 10 / (10 + len(rows))
    assert state.halted.reason == (
        f"the refused share of received rows is {share:.4g} (10 of {10 + len(rows)}), above the "
        "plausible 0.05"
    )
    again = cars.answers(rows, labelled=False).runs(year_end(1976))
    assert again.halted is None, "what was refused before the last cycle is not counted again"


def test_somebody_may_retrain_whatever_the_policy_says_and_it_is_recorded(cars: CarLedger) -> None:
    state = cars.lives_through(1976, force="the importers changed their lists")
    assert state.decided is not None
    assert state.decided.outcome == "override"
    assert state.decided.force is not None
    assert state.decided.force.reason == "the importers changed their lists"
    assert state.decided.force.actor == "local:unauthenticated"
    assert not state.decided.verdict.retrain
    assert state.decided.sentence.startswith(
        "OVERRIDE: the importers changed their lists; the policy says keep: prediction drift p = "
    )
    assert state.compared is not None


def test_facts_that_cannot_be_leave_the_policy_undecided(cars: CarLedger) -> None:
    before = production(cars)
    # The clock went back: the last retraining lies in the future of this cycle.
    state = cars.runs(year_end(1974))
    assert types_of(cars.ledger, "cycle-car-price-2")[-2:] == [
        "cycle.not-decided",
        "cycle.health-reported",
    ]
    assert state.not_decided is not None
    assert "hours_since_last_retraining" in state.not_decided.reason
    assert state.not_decided.sentence == f"NOT DECIDED: {state.not_decided.reason}"
    assert cars.cycle(2).outcome == cars.cycle(2).conclusion == "not decided"
    assert cars.view().decisions == 1
    assert production(cars) == before


def test_a_later_contract_with_another_feature_judges_and_never_crashes(cars: CarLedger) -> None:
    shipped = cars.rows([1976])
    cars.answers(shipped)
    contract = document("data", "contracts", "car-price.yaml")
    weight = contract["features"][3] | {"name": "weight", "possible": {"min": 0, "max": 9}}
    weight["plausible"] = {"missing_share_max": 0}
    cars.adopts(features=[*contract["features"], weight])
    state = cars.runs(year_end(1976))
    assert state.halted is not None
    assert state.halted.reason == ("the missing share of weight is 1, above the plausible 0")


def test_the_health_report_measures_the_champion_on_what_came_after_it(cars: CarLedger) -> None:
    state = cars.lives_through(1976)
    assert state.health is not None
    assert state.health.labelled_since_promotion == len(cars.rows([1976]))
    plan = load_plan(cars.ledger.artefact(cars.view().plan_sha256 or ""))
    squares = [
        (plan.predict_row(row).transformed - math.log(float(row["price"] or 0))) ** 2
        for row in cars.rows([1976])
    ]
    expected = math.sqrt(sum(squares) / len(squares))
    assert state.health.rmse_since_promotion == pytest.approx(expected, rel=1e-12)
    assert state.health.value is None, "there is no previous model to compare with"
    assert (state.health.success_rate, state.health.promotion_rate) == (1.0, 0.5)


def test_drift_that_nothing_answered_still_stands_after_an_empty_window(cars: CarLedger) -> None:
    cars.adopts(margin=100.0)  # no candidate is better by that much
    cars.lives_through(1976)
    rejected = cars.lives_through(1977)
    assert rejected.health is not None
    assert (rejected.health.conclusion, rejected.health.state) == ("rejected", "degraded")
    empty = cars.runs(year_end(1978))
    assert empty.decided is not None
    assert empty.decided.outcome == "keep: nothing to judge"
    assert empty.health is not None
    assert empty.health.state == "degraded"
    assert "drifted beyond the policy's bounds" in empty.health.reasons[0]


def test_the_contract_in_force_when_it_started_holds_for_the_whole_cycle(cars: CarLedger) -> None:
    cars.answers(cars.rows([1976]))
    cycle = cars.starts(year_end(1976))
    narrow = document("data", "contracts", "car-price.yaml")["features"]
    narrow[0]["plausible"]["mean"] = {"min": 0.7, "max": 0.8}
    cars.adopts(features=narrow)
    assert run_cycle(cars.ledger, cars.settings, cycle).halted is None
    halted = cars.runs(year_end(1976)).halted
    assert halted is not None
    assert halted.reason.endswith("outside the plausible 0.7 to 0.8")
