"""Which step comes next, how a cycle ends, and which outcome a verdict means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given as for_all
from hypothesis.strategies import integers, lists, sampled_from

from domain.decisions.cycle import (
    RETRAINING,
    Cycle,
    Step,
    conclusion,
    fold,
    fold_state,
    next_step,
    outcome_of,
)
from domain.errors import LedgerDamaged
from domain.events.cycle_events import Conclusion, CycleEvent, Outcome
from domain.events.envelope import event_data
from domain.events.findings import DriftReport
from domain.events.verdicts import Verdict
from tests.domain.events.sample_events import (
    ATTEMPT,
    COMPARED,
    EVALUATED,
    FAILED_TRAINING,
    GAVE_UP,
    GUARDED,
    HALTED,
    MEASURED,
    MERGED,
    PARITY,
    REPORTED,
    SETTLED,
    STARTED,
    TRAINED,
    UNDECIDED,
    decided,
    policy_verdict,
)

JUDGED: tuple[CycleEvent, ...] = (STARTED, ATTEMPT, GUARDED, MEASURED)
FITTED: tuple[CycleEvent, ...] = (*JUDGED, decided("retrain"), MERGED, TRAINED)
PASSED: tuple[CycleEvent, ...] = (*FITTED, PARITY, EVALUATED, COMPARED)
QUIET = DriftReport(
    features=(),
    predictions=(),
    feature_drift_score=0.0,
    psi_max=0.05,
    drifted_features=0,
    features_measured=6,
    low_power=False,
)


@pytest.mark.parametrize(
    ("history", "step"),
    [
        ((STARTED,), Step.GUARD),
        ((STARTED, ATTEMPT, GUARDED), Step.DRIFT),
        (JUDGED, Step.DECIDE),
        ((*JUDGED, decided("retrain")), Step.MERGE),
        ((*JUDGED, decided("retrain"), MERGED), Step.TRAIN),
        (FITTED, Step.PARITY),
        ((*FITTED, PARITY), Step.EVALUATE),
        ((*FITTED, PARITY, EVALUATED), Step.COMPARE),
        (PASSED, Step.PROMOTE),
        ((*PASSED, SETTLED), Step.HEALTH),
        ((*PASSED, SETTLED, REPORTED), None),
    ],
)
def test_the_next_step_is_the_first_without_an_event(
    history: tuple[CycleEvent, ...], step: Step | None
) -> None:
    assert next_step(fold(history)) == step


@pytest.mark.parametrize(
    "history",
    [
        (STARTED, HALTED),
        (*JUDGED, UNDECIDED),
        (*JUDGED, decided("keep: no drift")),
        (*JUDGED, decided("keep: nothing to judge")),
        (*JUDGED, decided("keep: rules not met")),
        (*JUDGED, decided("retrain"), FAILED_TRAINING),
        (*FITTED, replace(PARITY, passed=False)),
        (*FITTED, PARITY, replace(EVALUATED, passed=False)),
        (*FITTED, PARITY, EVALUATED, replace(COMPARED, passed=False)),
    ],
)
def test_a_refusal_anywhere_goes_straight_to_the_health_report(
    history: tuple[CycleEvent, ...],
) -> None:
    assert next_step(fold(history)) is Step.HEALTH


def test_a_cycle_that_was_given_up_has_no_next_step() -> None:
    assert next_step(fold((*JUDGED, GAVE_UP))) is None


@pytest.mark.parametrize(
    ("history", "ends"),
    [
        ((STARTED, HALTED), "halted"),
        ((*JUDGED, UNDECIDED), "not decided"),
        ((*JUDGED, decided("keep: rules not met")), "kept"),
        ((*JUDGED, decided("retrain"), FAILED_TRAINING), "failed"),
        ((*JUDGED, GAVE_UP), "failed"),
        ((*FITTED, PARITY, replace(EVALUATED, passed=False)), "rejected"),
        ((*PASSED, replace(SETTLED, promoted=False)), "rejected"),
        ((*PASSED, SETTLED), "promoted"),
    ],
)
def test_how_a_cycle_ends_follows_from_its_steps(
    history: tuple[CycleEvent, ...], ends: Conclusion
) -> None:
    assert conclusion(fold(history)) == ends


@for_all(lists(sampled_from((*PASSED, SETTLED, REPORTED, HALTED)), max_size=20), integers(0, 20))
def test_folding_from_any_snapshot_equals_folding_from_the_start(
    history: list[CycleEvent], cut: int
) -> None:
    assert fold(history[cut:], start=fold(history[:cut])) == fold(history)


@pytest.mark.parametrize("history", [(), (STARTED, HALTED), (*PASSED, SETTLED, REPORTED)])
def test_what_the_read_model_keeps_folds_to_the_same_state(history: tuple[CycleEvent, ...]) -> None:
    kept = {event.type: event_data(event) for event in reversed(history)}
    assert fold_state(kept) == fold(history)


def test_a_cycle_knows_what_it_was_asked_to_do() -> None:
    assert fold([STARTED, ATTEMPT]).begun == STARTED


def test_a_stream_without_a_start_is_damaged() -> None:
    with pytest.raises(LedgerDamaged, match=r"does not begin with cycle\.started"):
        _ = Cycle().begun


def outcome(
    *,
    features: Verdict = "unmet",
    predictions: Verdict = "unmet",
    samples: Verdict = "met",
    champion: str | None = "car-price/1",
    forced: bool = False,
    rows: int = 99,
    report: DriftReport | None = QUIET,
) -> Outcome:
    return outcome_of(
        policy_verdict(
            feature_drift_score=features, prediction_drift_p=predictions, new_samples=samples
        ),
        champion=champion,
        forced=forced,
        window_rows=rows,
        report=report,
    )


def test_all_clauses_met_means_retrain() -> None:
    assert outcome(features="met", predictions="met") == "retrain"


def test_neither_drift_clause_met_with_enough_power_means_no_drift() -> None:
    assert outcome() == "keep: no drift"


def test_low_power_is_never_no_drift() -> None:
    assert outcome(report=replace(QUIET, low_power=True)) == "keep: rules not met"


def test_one_drift_clause_met_means_rules_not_met() -> None:
    assert outcome(predictions="met") == "keep: rules not met"


def test_an_unknown_drift_clause_is_never_no_drift() -> None:
    assert outcome(features="unknown") == "keep: rules not met"


def test_an_empty_window_means_nothing_to_judge() -> None:
    empty = outcome(features="unknown", predictions="unknown", rows=0, report=None)
    assert empty == "keep: nothing to judge"


def test_without_a_champion_the_outcome_is_bootstrap_even_when_forced() -> None:
    assert outcome(champion=None, forced=True, rows=0, report=None) == "bootstrap"


def test_a_forced_cycle_is_an_override_whatever_the_policy_says() -> None:
    assert outcome(forced=True) == "override"
    assert "override" in RETRAINING
