"""When a model is healthy, degraded, stale, or has no champion."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from domain.decisions.cycle import Cycle
from domain.decisions.health import HealthFacts, health_state, unjudged
from domain.events.findings import GroupInterval
from tests.domain.events.sample_events import (
    FAILED_TRAINING,
    GAVE_UP,
    HALTED,
    UNDECIDED,
)

FINE = HealthFacts(
    champion="car-price/3",
    alarm=None,
    drift_beyond_policy=False,
    unjudged=None,
    rmse=0.2,
    rmse_max=0.4,
    days_since_evaluation=3.0,
    clock_skew_seconds_max=5.0,
    evaluation_within_days=7.0,
    overdue_predictions=10,
    overdue_unlabelled=5,
    labels_within_days=30.0,
)


def test_a_model_within_all_bounds_is_healthy_and_gives_no_reasons() -> None:
    assert health_state(FINE) == ("healthy", ())


def test_a_large_loss_is_written_as_the_value_is_everywhere() -> None:
    lost = GroupInterval(
        estimate=-12_345_678.4, low=-23_456_789.0, high=-1_234_567.0, groups=40, confidence=0.001
    )
    _, [reason] = health_state(replace(FINE, value_interval=lost, value_unit="USD"))
    assert "value -12,345,678 USD, 95 % interval -23,456,789 to -1,234,567" in reason


@given(of=st.integers(1, 100_000), percent=st.integers(0, 100))
def test_labels_are_late_above_the_share_and_not_at_it(of: int, percent: int) -> None:
    """Given as many late labels as the share allows, and one more, whatever the share in cents."""
    share, allowed = percent / 100, percent * of // 100
    late = replace(FINE, overdue_predictions=of, late_share_max=share)
    assert health_state(replace(late, overdue_unlabelled=allowed)) == ("healthy", ())
    if allowed < of:
        assert health_state(replace(late, overdue_unlabelled=allowed + 1))[0] == "stale"


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


def test_an_error_on_another_scale_than_the_bound_is_held_against_nothing_and_that_is_said() -> (
    None
):
    other = replace(FINE, scale="none", rmse_max=0.4)
    for rmse, said in ((0.2, "0.2"), (2.032, "2.032")):
        found = replace(other, rmse=rmse, window_error=rmse, window_labelled=45)
        assert health_state(found) == (
            "degraded",
            (
                f"error since promotion {said} is on the native scale, which car-price/3 was "
                "trained on, and held against nothing: the contract's bound of 0.4 is on the log "
                "scale. Force a retraining, or adopt a contract with the scale of the champion",
            ),
        )
    assert health_state(replace(other, rmse=None))[0] == "healthy"
    assert health_state(replace(other, rmse_max=None))[0] == "healthy"


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


def test_a_champion_that_nobody_judges_is_degraded_and_the_way_out_is_named() -> None:
    aside = replace(FINE, aside=True)
    why = "car-price/3 serves and nobody judges it: the cycle that made it was set aside"
    assert health_state(replace(aside, judged="car-price/1")) == (
        "degraded",
        (
            f"{why}, and cycles judge car-price/1; a rollback to car-price/1 or a forced cycle "
            "whose candidate is promoted would mend it",
        ),
    )
    assert health_state(aside) == (
        "degraded",
        (f"{why}; the next cycle trains as if for the first time",),
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


LOSS = GroupInterval(estimate=-16_860, low=-31_892, high=-1_828, confidence=0.02, groups=40)


def test_a_promotion_whose_value_lies_below_nothing_has_not_paid_and_names_the_rollback() -> None:
    paid = replace(FINE, value_unit="USD", replaced="car-price/2")
    state, reasons = health_state(replace(paid, value_interval=LOSS))
    assert state == "degraded"
    assert reasons == (
        "car-price/3 has not paid: value -16,860 USD, 95 % interval -31,892 to -1,828; a rollback "
        "to car-price/2 would mend it",
    )
    unsure = structs.replace(LOSS, high=1.0)
    assert health_state(replace(paid, value_interval=unsure)) == ("healthy", ())


def test_a_window_that_is_worse_than_the_whole_reign_degrades_and_says_how_sure_that_is() -> None:
    noise = GroupInterval(estimate=0.52, low=0.41, high=0.63, confidence=1.0, groups=12)
    found = replace(FINE, window_error=0.52, window_interval=noise, window_labelled=80)
    state, reasons = health_state(found)
    assert state == "degraded"
    assert reasons == (
        "error in the latest window 0.52 (contract: at most 0.4, transformed scale), on 80 rows; "
        "95 % interval over 12 groups 0.41 to 0.63",
    )
    assert health_state(replace(found, window_error=0.4))[0] == "healthy"


def test_the_contract_says_from_how_many_predictions_and_which_share_labels_are_late() -> None:
    late = replace(FINE, overdue_unlabelled=6)
    assert health_state(late)[0] == "stale"
    assert health_state(replace(late, late_share_max=0.6))[0] == "healthy"
    assert health_state(replace(late, late_rows_min=11))[0] == "healthy"


def test_a_cycle_recorded_while_the_clock_ran_ahead_is_stale() -> None:
    state, reasons = health_state(replace(FINE, days_since_evaluation=-400.0))
    assert state == "stale"
    assert reasons == (
        "last evaluated 400 days ahead of now, by a clock that ran ahead (clocks may differ by "
        "5 s); run a cycle with a reason, which sets that one aside, or set the clock if it is "
        "behind now",
    )


def test_clocks_may_differ_by_as_much_as_the_setting_says() -> None:
    near = replace(FINE, days_since_evaluation=-5 / 86_400)
    assert health_state(near)[0] == "healthy"
    state, [reason] = health_state(replace(near, days_since_evaluation=-5.0001 / 86_400))
    assert state == "stale"
    assert "5.0001 s ahead of now" in reason
    assert health_state(replace(near, clock_skew_seconds_max=4.0))[0] == "stale"


@given(st.floats(1e-3, 1e6), st.integers(1, 40))
def test_no_error_is_said_to_be_what_it_may_be_at_most(bound: float, steps: int) -> None:
    error = bound * (1 + steps * 1e-15)
    _, reasons = health_state(replace(FINE, rmse=error, rmse_max=bound))
    for reason in reasons:  # none when the step was lost in rounding
        said, allowed = re.findall(r"\d[\d.e+-]*", reason)
        assert float(said) > float(allowed)


def test_no_figure_is_rounded_onto_its_bound() -> None:
    assert (
        "error since promotion 0.400001 (contract: at most 0.4,"
        in (health_state(replace(FINE, rmse=0.400001))[1][0])
    )
    assert (
        "last evaluated 7.0003 days ago"
        in (health_state(replace(FINE, days_since_evaluation=7.0003))[1][0])
    )


def test_an_error_in_the_latest_window_degrades_with_an_interval_or_without_one() -> None:
    state, [reason] = health_state(replace(FINE, window_error=0.5, window_labelled=40))
    assert state == "degraded"
    assert reason == (
        "error in the latest window 0.5 (contract: at most 0.4, transformed scale), on 40 rows"
    )
