"""How a cycle is told from its steps alone, before and after its end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.audit.cycle import CycleTold, cycle_told
from domain.events.cycle_events import (
    CandidateCompared,
    CandidateTrained,
    CycleEvent,
    CycleFailed,
    CycleStarted,
    DriftMeasured,
    HealthReported,
    ParityChecked,
    PromotionSettled,
)
from domain.events.envelope import event_data
from tests.app.web.car_story import HALTED_YEAR, MODEL, REJECTED_YEAR, car_story

BOOTSTRAP_YEAR = 1975
FULL_DISK = CycleFailed(attempts=3, step="train", reason="the disk is full. Free some of it.")


def steps_of(year: int) -> list[CycleEvent]:
    return car_story(year).cycle(year - BOOTSTRAP_YEAR + 1)


def told(*steps: CycleEvent) -> CycleTold:
    return cycle_told({step.type: event_data(step) for step in steps})


def up_to(steps: list[CycleEvent], last: type[CycleEvent]) -> list[CycleEvent]:
    return steps[: 1 + next(i for i, step in enumerate(steps) if isinstance(step, last))]


def test_a_promoted_candidate_serves_and_its_champion_of_then_is_named() -> None:
    said = told(*steps_of(1976))

    assert (said.outcome, said.conclusion) == ("retrain", "promoted")
    assert said.aftermath == f"promoted. Candidate {MODEL}/2 against champion {MODEL}/1."
    assert (said.candidate, said.champion_compared, said.champion) == (
        f"{MODEL}/2",
        f"{MODEL}/1",
        f"{MODEL}/2",
    )


def test_a_headline_says_what_happened_and_who_serves() -> None:
    assert told(*steps_of(BOOTSTRAP_YEAR)).headline == f"Promoted: {MODEL}/1 serves as the first."
    assert told(*steps_of(1976)).headline == f"Promoted: {MODEL}/2 serves in place of {MODEL}/1."
    turned_away = told(*steps_of(REJECTED_YEAR))
    assert turned_away.headline == (
        f"Candidate {turned_away.candidate} turned away: {turned_away.champion} serves on."
    )
    halted = told(*steps_of(HALTED_YEAR))
    assert halted.headline == f"Halted, nothing was judged: {halted.champion} serves on."


def test_a_cycle_that_failed_after_its_promotion_left_the_candidate_serving() -> None:
    said = told(*up_to(steps_of(1976), PromotionSettled), replace(FULL_DISK, step="health"))

    assert (said.conclusion, said.champion) == ("failed", f"{MODEL}/2")
    assert said.headline == f"Promoted, then failed: {MODEL}/2 serves in place of {MODEL}/1."


def test_a_cycle_that_goes_on_is_not_finished_in_its_headline() -> None:
    said = told(*up_to(steps_of(1976), DriftMeasured))

    assert said.headline == f"Not finished: {MODEL}/1 serves on."


def test_the_first_candidate_is_compared_with_nobody() -> None:
    said = told(*steps_of(BOOTSTRAP_YEAR))

    assert said.aftermath == f"promoted. Candidate {MODEL}/1."
    assert said.champion_compared is None


def test_after_the_first_failed_gate_none_is_evaluated() -> None:
    said = told(*steps_of(REJECTED_YEAR))

    assert [gate.verdict for gate in said.gates] == ["passed", "passed", "failed", "not evaluated"]
    assert said.conclusion == "rejected"
    assert said.champion == said.champion_compared


def test_a_gate_tells_its_figures_and_how_sure_they_are() -> None:
    steps = steps_of(REJECTED_YEAR)
    compared = next(step for step in steps if isinstance(step, CandidateCompared))

    deployment = told(*steps).gates[2]

    assert compared.champion is not None
    assert deployment.figures == {
        "champion": compared.champion.rmse,
        "candidate": compared.candidate.rmse,
    }
    assert deployment.errors.startswith("champion 0.")
    assert ", candidate 0." in deployment.errors
    assert deployment.note.endswith("-0.021 to 0.008: within noise")
    assert (deployment.reason, deployment.rows) == (compared.reason, compared.rows)


def test_gates_wait_while_the_cycle_goes_on() -> None:
    said = told(*up_to(steps_of(1976), ParityChecked))

    assert [gate.verdict for gate in said.gates] == ["passed", "waiting", "waiting", "waiting"]
    assert (said.conclusion, said.aftermath) == (None, f"not finished. Candidate {MODEL}/2.")
    assert said.champion == f"{MODEL}/1"


def test_a_halted_cycle_came_to_no_decision_and_says_why() -> None:
    said = told(*steps_of(HALTED_YEAR))

    assert (said.outcome, said.clauses, said.gates) == (None, (), ())
    assert said.sentence == f"HALTED: {said.conclusion_reason}"
    assert said.aftermath == f"halted: {said.conclusion_reason}"


def test_a_cycle_that_failed_after_its_decision_keeps_its_verdict_and_says_why() -> None:
    steps = up_to(steps_of(1976), CandidateTrained)

    said = told(*steps, FULL_DISK)

    assert said.sentence.startswith("RETRAIN: ")
    assert said.aftermath == (f"failed: the disk is full. Free some of it. Candidate {MODEL}/2.")
    assert [gate.verdict for gate in said.gates] == ["not evaluated"] * 4


def test_a_cycle_that_failed_before_its_decision_has_the_reason_for_its_sentence() -> None:
    said = told(*up_to(steps_of(1976), DriftMeasured), replace(FULL_DISK, step="decide"))

    assert said.outcome is None
    assert said.sentence == f"FAILED: {FULL_DISK.reason}"
    assert said.aftermath == f"failed: {FULL_DISK.reason}"


def test_a_cycle_that_has_only_begun_is_not_finished() -> None:
    said = told(*up_to(steps_of(1976), CycleStarted))

    assert (said.sentence, said.aftermath) == ("NOT FINISHED", "not finished.")


def test_a_failure_after_another_end_is_what_it_came_to() -> None:
    steps = [step for step in steps_of(HALTED_YEAR) if not isinstance(step, HealthReported)]

    said = told(*steps, FULL_DISK)

    assert (said.conclusion, said.conclusion_reason) == ("failed", FULL_DISK.reason)


@pytest.mark.parametrize("reason", ["the disk is full", "the disk is full."])
def test_no_aftermath_ends_in_two_full_stops(reason: str) -> None:
    said = told(*up_to(steps_of(1976), DriftMeasured), replace(FULL_DISK, reason=reason))

    assert said.aftermath == "failed: the disk is full."
