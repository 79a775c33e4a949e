"""What the gates say, in figures and in words."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from domain.canonical import canonical_bytes
from domain.decisions.evaluation import (
    compare_with_champion,
    evaluate_candidate,
    with_bootstrap,
)
from domain.decisions.prediction_errors import (
    DRAWS,
    errors,
    inverse_of,
    paired_bootstrap,
)
from domain.drift.statistics import Floats
from domain.errors import PredictionsUnusable
from domain.events.cycle_events import CandidateCompared, CandidateEvaluated

ACTUAL = np.array([1.0, 2.0, 3.0, 4.0])
TARGETS = st.lists(st.floats(-5, 5, allow_subnormal=False), min_size=1, max_size=40)


def evaluated(predicted: Floats, rows_min: int = 1) -> CandidateEvaluated:
    training = np.array([2.0, 2.0, 2.0, 6.0])  # mean 3, median 2
    return evaluate_candidate(
        predicted=predicted,
        actual=ACTUAL,
        training_target=training,
        rows_min=rows_min,
        inverse=inverse_of("none"),
    )


def compared(
    candidate: Floats,
    champion: Floats | None,
    margin: float = 0.0,
    *,
    groups: str = "abcd",
    confidence_min: float | None = None,
    serves: str | None = None,
) -> CandidateCompared:
    return compare_with_champion(
        candidate=candidate,
        champion=None if champion is None else ("car-price/6", champion),
        serves=serves,
        actual=ACTUAL,
        margin=margin,
        inverse=inverse_of("none"),
        segments={"region": ["US", "US", None, "EU"], "air": [1, 0, 1, 0]},
        groups=list(groups),
        confidence_min=confidence_min,
    )


def test_errors_stand_on_both_scales() -> None:
    found = errors(np.log([2.0, 8.0]), np.log([1.0, 4.0]), inverse_of("log"))
    assert found.rmse == pytest.approx(math.log(2))
    assert found.rmse_native == pytest.approx(math.sqrt((1 + 16) / 2))
    assert found.mae_native == pytest.approx(2.5)


@given(TARGETS)
def test_the_inverse_of_a_log_target_is_math_exp_to_the_bit(targets: list[float]) -> None:
    zeros = np.zeros(len(targets))
    found = errors(np.array(targets), zeros, inverse_of("log"))
    assert found.mae_native == np.mean([abs(math.exp(t) - 1) for t in targets])


def test_a_candidate_that_beats_mean_and_median_passes() -> None:
    found = evaluated(ACTUAL + 0.5)
    assert found.passed
    assert found.candidate is not None
    assert found.mean_baseline is not None
    assert found.median_baseline is not None
    assert found.candidate.rmse == pytest.approx(0.5)
    assert found.mean_baseline.rmse == pytest.approx(math.sqrt(6 / 4))
    assert found.median_baseline.rmse == pytest.approx(math.sqrt(6 / 4))
    assert "RMSE 0.5 beats mean and median of its training target (1.225 at best)" in found.reason


def test_a_candidate_must_beat_both_and_a_tie_is_not_better() -> None:
    tie = evaluated(np.full(4, 2.0))  # the median itself
    assert not tie.passed
    assert "is not below that of the mean (1.225) and the median (1.225)" in tie.reason
    lopsided = evaluate_candidate(
        predicted=np.full(4, 2.0),
        actual=np.array([1.0, 2.0, 2.0, 2.0]),
        training_target=np.array([2.0, 2.0, 8.0]),
        rows_min=1,
        inverse=inverse_of("none"),
    )
    assert not lopsided.passed  # beats the mean, ties with the median
    assert "the median (0.5) of" in lopsided.reason
    assert "the mean" not in lopsided.reason


def test_too_few_holdout_rows_say_so_and_measure_nothing() -> None:
    found = evaluated(ACTUAL, rows_min=5)
    assert not found.passed
    assert found.reason.startswith("not enough rows: the holdout has 4, the contract asks for")
    assert found.candidate is found.mean_baseline is found.median_baseline is None
    assert evaluated(ACTUAL, rows_min=4).passed


def test_an_empty_holdout_never_passes_even_when_no_rows_are_asked_for() -> None:
    nothing = np.array([])
    found = evaluate_candidate(
        predicted=nothing,
        actual=nothing,
        training_target=ACTUAL,
        rows_min=0,
        inverse=inverse_of("log"),
    )
    assert not found.passed
    assert found.reason.startswith("not enough rows")


def test_an_error_is_told_from_that_of_each_baseline_it_lost_to() -> None:
    found = evaluate_candidate(
        predicted=np.full(4, 3.5000001),  # the mean is 3.5, the better median 2
        actual=ACTUAL,
        training_target=np.array([2.0, 2.0, 2.0, 8.0]),
        rows_min=1,
        inverse=inverse_of("none"),
    )
    ours, mean, median = map(float, re.findall(r"\d\.\d+", found.reason))
    assert ours > mean > median


def test_predictions_beyond_a_double_fail_the_gate_with_words() -> None:
    found = evaluate_candidate(
        predicted=np.array([1.0, 800.0]),
        actual=np.array([1.0, 2.0]),
        training_target=ACTUAL,
        rows_min=1,
        inverse=inverse_of("log"),
    )
    assert not found.passed
    assert found.candidate is None
    assert found.mean_baseline is not None
    assert "predictions from 1 to 800" in found.reason
    assert canonical_bytes(to_builtins(found))


def test_predictions_that_are_no_numbers_have_no_error() -> None:
    with pytest.raises(PredictionsUnusable, match="no finite error"):
        errors(np.array([math.nan]), np.array([1.0]), inverse_of("none"))
    with pytest.raises(PredictionsUnusable, match="hold out at least one"):
        errors(np.array([]), np.array([]), inverse_of("none"))


def test_the_candidate_must_be_strictly_better_than_the_champion() -> None:
    better, same, worse = ACTUAL + 0.1, ACTUAL + 0.2, ACTUAL - 0.3
    assert compared(better, same).passed
    assert not compared(same, same).passed
    assert not compared(worse, same).passed
    assert "RMSE 0.1 beats car-price/6's 0.2" in compared(better, same).reason
    assert "RMSE 0.3 is not below car-price/6's 0.2" in compared(worse, same).reason


def test_full_precision_decides_and_as_many_digits_are_printed_as_tell_them_apart() -> None:
    found = compared(ACTUAL + 0.2, ACTUAL + 0.2000001)
    assert found.passed
    assert "RMSE 0.2 beats car-price/6's 0.2000001" in found.reason


def test_the_candidate_must_be_better_by_more_than_the_margin() -> None:
    assert compared(ACTUAL + 0.25, ACTUAL + 0.5, margin=0.2).passed
    short = compared(ACTUAL + 0.25, ACTUAL + 0.5, margin=0.25)
    assert not short.passed
    assert "beats car-price/6's 0.5 by 0.25, not by more than the margin of 0.25" in short.reason


def test_without_a_champion_there_is_nothing_to_beat() -> None:
    found = compared(ACTUAL + 3, None)
    assert found.passed
    assert (found.champion, found.interval, found.champion_version) == (None, None, None)
    assert found.reason.startswith("no champion yet")
    assert all(segment.champion_rmse is None for segment in found.segments)


def test_errors_are_recorded_by_segment_though_they_do_not_decide() -> None:
    found = compared(ACTUAL + np.array([0.1, 0.1, 0.1, 0.9]), ACTUAL + 0.5)
    by_name = {(s.feature, s.category): s for s in found.segments}
    assert list(by_name) == [
        ("region", "EU"),
        ("region", "US"),
        ("region", "(missing)"),
        ("air", "0"),
        ("air", "1"),
    ]
    assert by_name["region", "US"].rows == 2
    assert by_name["region", "US"].candidate_rmse == pytest.approx(0.1)
    assert by_name["region", "EU"].candidate_rmse == pytest.approx(0.9)
    assert by_name["region", "EU"].champion_rmse == pytest.approx(0.5)
    assert found.passed  # though worse in the EU


MIXED = (ACTUAL + np.array([0.1, 0.5, 0.1, 0.5]), ACTUAL + np.array([0.5, 0.1, 0.5, 0.2]))


def test_a_difference_chance_could_make_is_said_to_be_within_noise_and_still_decides() -> None:
    mixed = compared(*MIXED)
    assert mixed.interval is not None
    assert mixed.interval.low < 0 < mixed.interval.high
    assert mixed.interval.groups == 4
    assert mixed.passed
    assert "; within noise: the 95 % interval over 4 groups is " in mixed.reason
    clear = compared(ACTUAL + 0.1, ACTUAL + 0.5)
    assert clear.interval is not None
    assert clear.interval.low == pytest.approx(0.4)
    assert "; beyond noise" in clear.reason


def test_two_groups_have_no_interval_and_strictly_better_is_still_enough() -> None:
    found = compared(ACTUAL + 0.1, ACTUAL + 0.5, groups="aabb")
    assert (found.passed, found.interval) == (True, None)
    assert "; not enough groups for an interval: 2, it takes 3" in found.reason


def test_a_contract_may_ask_how_sure_it_is_that_the_candidate_is_better() -> None:
    unsure = compared(*MIXED, confidence_min=0.95)
    assert unsure.interval is not None
    assert 0.5 < unsure.interval.confidence < 0.95
    assert not unsure.passed
    assert "is below the 0.95 that the contract asks for: production stays" in unsure.reason
    assert compared(*MIXED, confidence_min=unsure.interval.confidence).passed
    sure = compared(ACTUAL + 0.1, ACTUAL + 0.5, confidence_min=0.999)
    assert sure.passed
    assert "; confidence 1, the contract asks for at least 0.999" in sure.reason


def test_a_confidence_that_few_groups_cannot_give_is_not_met() -> None:
    found = compared(ACTUAL + 0.1, ACTUAL + 0.5, groups="aabb", confidence_min=0.5)
    assert not found.passed
    assert "confidence of at least 0.5, which so few groups cannot give" in found.reason


def test_a_confidence_does_not_excuse_a_candidate_that_is_not_better() -> None:
    found = compared(ACTUAL + 0.5, ACTUAL + 0.5, confidence_min=0.5)
    assert found.interval is not None
    assert (found.interval.confidence, found.passed) == (0.5, False)


def test_no_confidence_is_rounded_onto_its_bound() -> None:
    found = compared(*MIXED)
    assert found.interval is not None
    bound = found.interval.confidence + 1e-9
    short = compared(*MIXED, confidence_min=bound)
    said = short.reason.partition("confidence ")[2].split()
    assert float(said[0]) < float(said[4])


def test_the_first_form_resamples_rows_and_has_no_interval() -> None:
    candidate, champion = MIXED
    found = with_bootstrap(
        compared(candidate, champion),
        candidate=candidate,
        champion=champion,
        actual=ACTUAL,
        seed=0,
    )
    assert found.bootstrap is not None
    assert (found.interval, found.passed, found.bootstrap.within_noise) == (None, True, True)
    assert "; within noise: 95 % of the bootstrap's differences lie between" in found.reason
    assert found.reason.endswith(", on 4 rows.")
    first = with_bootstrap(
        compared(candidate, None), candidate=candidate, champion=None, actual=ACTUAL, seed=0
    )
    assert first.reason.startswith("no champion yet")


def test_the_bootstrap_repeats_itself_from_its_seed() -> None:
    champion, candidate = np.random.default_rng(3).exponential(size=(2, 200))
    assert paired_bootstrap(champion, candidate, 7) == paired_bootstrap(champion, candidate, 7)
    assert paired_bootstrap(champion, candidate, 7) != paired_bootstrap(champion, candidate, 8)
    found = paired_bootstrap(champion, candidate, 7)
    assert (found.draws, found.seed) == (DRAWS, 7)
    observed = math.sqrt(champion.mean()) - math.sqrt(candidate.mean())
    assert found.low < observed < found.high


def test_the_bootstrap_of_many_rows_is_drawn_in_parts_of_the_same_chain() -> None:
    champion, candidate = np.random.default_rng(3).exponential(size=(2, 3_000))
    found = paired_bootstrap(champion, candidate, 7)
    drawn = np.random.default_rng(7).integers(0, 3_000, size=(DRAWS, 3_000))
    whole = np.sqrt(champion[drawn].mean(axis=1)) - np.sqrt(candidate[drawn].mean(axis=1))
    assert (found.low, found.high) == tuple(np.quantile(whole, (0.025, 0.975)))


def test_the_bootstrap_interval_has_the_width_theory_gives() -> None:
    draw = np.random.default_rng(11)
    champion, candidate = draw.normal(0, 2, 4_000) ** 2, draw.normal(0, 1, 4_000) ** 2
    found = paired_bootstrap(champion, candidate, 0)
    theory = math.sqrt((2**2 + 1**2) / (2 * 4_000))  # sd of an RMSE of n normal errors: s/sqrt(2n)
    assert (found.high - found.low) / 3.92 == pytest.approx(theory, rel=0.1)


def test_gates_refuse_sides_with_different_rows() -> None:
    with pytest.raises(ValueError, match="same rows on every side"):
        evaluated(ACTUAL[:3])
    with pytest.raises(ValueError, match="same rows on every side"):
        compared(ACTUAL, ACTUAL[:3])


def test_a_gate_without_a_training_target_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the training target; got 0 rows"):
        evaluate_candidate(
            predicted=ACTUAL,
            actual=ACTUAL,
            training_target=np.array([]),
            rows_min=1,
            inverse=inverse_of("none"),
        )


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.floats(-5, 5)] * 3), min_size=1, max_size=30), st.floats(0, 1))
def test_what_the_gate_says_follows_from_its_figures_and_fits_the_ledger(
    rows: list[tuple[float, float, float]], margin: float
) -> None:
    candidate, champion, actual = np.array(rows).T
    found = compare_with_champion(
        candidate=candidate,
        champion=("m/1", champion),
        serves="m/1",
        actual=actual,
        margin=margin,
        inverse=inverse_of("log"),
        segments={"sign": [int(v > 0) for v in actual]},
        groups=[str(row) for row in range(len(rows))],
        confidence_min=None,
    )
    assert found.champion is not None
    assert found.passed == (found.champion.rmse - found.candidate.rmse > margin)
    assert sum(s.rows for s in found.segments) == len(rows)
    assert canonical_bytes(to_builtins(found))


def test_where_another_serves_than_is_compared_that_one_is_named_with_the_reason() -> None:
    """Given a champion that counts, and one that serves though its cycle was set aside."""
    usual = compared(ACTUAL + 0.1, ACTUAL + 0.2, serves="car-price/6")
    found = compared(ACTUAL + 0.1, ACTUAL + 0.2, serves="car-price/7")
    assert not usual.reason.startswith("car-price/6 serves")
    assert found.reason == (
        "car-price/7 serves and is not compared, since the cycle that made it was set aside: "
        + usual.reason
    )


def test_who_serves_and_is_not_compared_is_named_with_the_reason() -> None:
    found = compared(ACTUAL + 0.1, None, serves="car-price/6")
    assert found.passed
    assert (found.champion_version, found.champion) == (None, None)
    assert found.reason == (
        "car-price/6 serves and is not compared, since the cycle that made it was set aside: "
        "RMSE 0.1 has nothing to beat, on 4 rows."
    )
