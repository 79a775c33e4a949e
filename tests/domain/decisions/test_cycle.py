"""Which step comes next, and how a cycle ends."""

from __future__ import annotations

import pytest
from hypothesis import given as for_all
from hypothesis.strategies import integers, lists, sampled_from
from msgspec.structs import replace

from domain.decisions.cycle import (
    Cycle,
    Step,
    conclusion,
    fold,
    fold_state,
    next_step,
)
from domain.errors import LedgerDamaged
from domain.events.cycle_events import Conclusion, CycleEvent
from domain.events.envelope import event_data
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
    REFITTED,
    REPORTED,
    SETTLED,
    STARTED,
    TRAINED,
    UNDECIDED,
    decided,
)

JUDGED: tuple[CycleEvent, ...] = (STARTED, ATTEMPT, GUARDED, MEASURED)
FITTED: tuple[CycleEvent, ...] = (*JUDGED, decided("retrain"), MERGED, TRAINED)
PASSED: tuple[CycleEvent, ...] = (*FITTED, PARITY, EVALUATED, COMPARED)


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
        ((*PASSED[:-1], replace(COMPARED, refit=True)), Step.REFIT),
        ((*PASSED[:-1], replace(COMPARED, refit=True), REFITTED), Step.PROMOTE),
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
        (*FITTED, PARITY, EVALUATED, replace(COMPARED, passed=False, refit=True)),
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
