"""Every box of the flow, reached by real cars."""

from __future__ import annotations

import math

import orjson
import pytest

from app.cause import Cause
from app.cycle.promotions import roll_back
from app.cycle.run import run_cycle
from app.projections.opening import open_ledger
from app.serving.plan import load_plan
from tests.app.car_ledger import (
    CarLedger,
    bootstrapped,
    document,
    moved_to,
    types_of,
    year_end,
)
from tests.app.cycle.interrupted import Interrupted

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


def production(cars: CarLedger) -> tuple[object, ...]:
    """Everything that says who serves, to the last byte, and what it answers to the bit."""
    view = cars.view()
    assert view.plan_sha256 is not None
    content = cars.ledger.artefact(view.plan_sha256)
    answers = load_plan(content).predict_rows(cars.rows([1976])).native.tobytes()
    return (
        view.champion,
        view.plan_sha256,
        view.reference_sha256,
        view.champion_since,
        view.champion_as_of,
        view.champion_cycle,
        view.trained_until,
        view.registry_run,
        view.promoted_position,
        content,
        answers,
    )


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
        f"the refused share of received rows is {share:.4g}, above the plausible 0.05"
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
    cars.answers(cars.rows([1979]))
    cycle = cars.starts(year_end(1979))
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


def test_a_champion_that_cannot_predict_the_holdout_is_not_beaten_by_default(
    cars: CarLedger,
) -> None:
    contract = document("data", "contracts", "car-price.yaml")
    fewer = [feature for feature in contract["features"] if feature["name"] != "space"]
    ignored = [*contract["ignored"], {"name": "space", "because": "no longer measured"}]
    cars.adopts(features=fewer, ignored=ignored)
    cars.observes(cars.rows([1976]))
    state = cars.runs(year_end(1976), force="space is no longer measured")
    assert state.compared is not None
    assert not state.compared.passed
    assert state.compared.reason.startswith(
        "car-price/1 cannot predict the holdout rows, so nothing was compared and production stays"
    )
    assert cars.view().champion == "car-price/1"


@pytest.mark.parametrize("correction", [1.0, 2.0])
def test_a_corrected_label_is_no_new_sample(cars: CarLedger, correction: float) -> None:
    rows = cars.rows([1976])
    cars.answers(rows)
    cars.observes([row | {"price": float(row["price"] or 0) * correction} for row in rows[:10]])
    state = cars.runs(year_end(1976), force="to merge")
    assert state.merged is not None
    assert state.merged.new_samples == len(rows)
    assert state.merged.duplicates == 10


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
