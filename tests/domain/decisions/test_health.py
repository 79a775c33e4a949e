"""When a model is healthy, degraded, stale, or has no champion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.decisions.cycle import Cycle
from domain.decisions.health import Standing, health_state, unjudged
from tests.domain.events.sample_events import (
    FAILED_TRAINING,
    GAVE_UP,
    HALTED,
    UNDECIDED,
)

FINE = Standing(
    champion="car-price/3",
    alarm=None,
    drift_beyond_policy=False,
    unjudged=None,
    rmse=0.2,
    rmse_max=0.4,
    days_since_evaluation=3.0,
    evaluation_within_days=7.0,
    overdue_predictions=10,
    overdue_unlabelled=5,
    labels_within_days=30.0,
)


def test_a_model_within_all_bounds_is_healthy_and_gives_no_reasons() -> None:
    assert health_state(FINE) == ("healthy", ())


def test_a_model_without_a_champion_says_so() -> None:
    assert health_state(replace(FINE, champion=None))[0] == "no champion"


def test_error_beyond_the_contract_degrades() -> None:
    state, reasons = health_state(replace(FINE, rmse=0.41))
    assert state == "degraded"
    assert reasons == ("error since promotion 0.41 (contract: at most 0.4, transformed scale)",)


def test_error_at_the_bound_does_not_degrade() -> None:
    assert health_state(replace(FINE, rmse=0.4))[0] == "healthy"


def test_an_error_not_yet_measured_does_not_degrade() -> None:
    assert health_state(replace(FINE, rmse=None))[0] == "healthy"


def test_drift_that_nothing_answered_degrades() -> None:
    assert health_state(replace(FINE, drift_beyond_policy=True))[0] == "degraded"


def test_a_cycle_that_could_judge_nothing_degrades_and_says_why() -> None:
    state, reasons = health_state(replace(FINE, unjudged="the window is not plausible"))
    assert state == "degraded"
    assert reasons == ("the window is not plausible",)


def test_a_champion_that_does_not_answer_degrades_and_says_why() -> None:
    assert health_state(replace(FINE, alarm="its plan does not load")) == (
        "degraded",
        ("its plan does not load",),
    )


def test_no_evaluation_in_time_is_stale() -> None:
    state, reasons = health_state(replace(FINE, days_since_evaluation=7.5))
    assert state == "stale"
    assert reasons == ("last evaluated 7.5 days ago (contract: within 7)",)


def test_labels_are_late_when_more_than_half_of_the_overdue_predictions_have_none() -> None:
    state, reasons = health_state(replace(FINE, overdue_unlabelled=6))
    assert state == "stale"
    assert "6 of 10 predictions older than 30 days have no label" in reasons


def test_stale_is_never_hidden_by_degraded() -> None:
    state, reasons = health_state(replace(FINE, rmse=0.5, days_since_evaluation=9.0))
    assert state == "stale"
    assert len(reasons) == 2


@pytest.mark.parametrize(
    ("cycle", "says"),
    [
        (Cycle(), None),
        (Cycle(halted=HALTED), f"the last cycle halted: {HALTED.reason}"),
        (Cycle(not_decided=UNDECIDED), f"the last cycle was not decided: {UNDECIDED.reason}"),
        (
            Cycle(training_failed=FAILED_TRAINING),
            f"the last cycle failed: {FAILED_TRAINING.reason}",
        ),
        (Cycle(failed=GAVE_UP), f"the last cycle failed: {GAVE_UP.reason}"),
    ],
)
def test_a_cycle_that_ended_early_says_why_it_judged_nothing(
    cycle: Cycle, says: str | None
) -> None:
    assert unjudged(cycle) == says
