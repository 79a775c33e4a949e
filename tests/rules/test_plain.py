from __future__ import annotations

import math

import pytest

from domain.events.verdicts import ClauseVerdict, Verdict, clause_sentence
from rules.plain import evaluate_plainly
from rules.policy import Policy

ALL_MET = {
    "feature_drift_score": 0.31,
    "prediction_drift_p": 0.01,
    "new_samples": 50.0,
    "hours_since_last_retraining": 24.5,
}


def clause_on(
    policy: Policy, fact: str, value: float | None, *, never_retrained: bool = False
) -> ClauseVerdict:
    clauses = evaluate_plainly(policy, {**ALL_MET, fact: value}, never_retrained)
    [clause] = [clause for clause in clauses if clause.fact == fact]
    return clause


def test_all_four_clauses_are_met_in_the_order_of_the_policy(policy: Policy) -> None:
    clauses = evaluate_plainly(policy, ALL_MET)
    assert [clause.clause for clause in clauses] == [
        "feature_drift",
        "prediction_drift",
        "enough_labels",
        "cool_down",
    ]
    assert {clause.verdict for clause in clauses} == {"met"}


@pytest.mark.parametrize(
    ("fact", "value", "verdict"),
    [
        ("feature_drift_score", 0.2, "unmet"),
        ("feature_drift_score", math.nextafter(0.2, 1), "met"),
        ("prediction_drift_p", 0.05, "unmet"),
        ("prediction_drift_p", math.nextafter(0.05, 0), "met"),
        ("new_samples", 50.0, "met"),
        ("new_samples", 49.0, "unmet"),
        ("hours_since_last_retraining", 24.0, "unmet"),
        ("hours_since_last_retraining", math.nextafter(24, 25), "met"),
    ],
)
def test_exactly_the_threshold_holds_only_where_the_owner_says_so(
    policy: Policy, fact: str, value: float, verdict: Verdict
) -> None:
    assert clause_on(policy, fact, value).verdict == verdict


def test_the_margin_is_the_distance_past_the_threshold(policy: Policy) -> None:
    assert clause_on(policy, "hours_since_last_retraining", 20.0).margin == -4.0
    assert clause_on(policy, "new_samples", 62.0).margin == 12.0
    assert clause_on(policy, "prediction_drift_p", 0.01).margin == pytest.approx(0.04)
    at_the_bound = clause_on(policy, "prediction_drift_p", 0.05).margin
    assert at_the_bound is not None
    assert math.copysign(1, at_the_bound) == 1


def test_an_unknown_fact_is_unknown_and_not_false(policy: Policy) -> None:
    clause = clause_on(policy, "prediction_drift_p", None)
    assert (clause.verdict, clause.observed, clause.margin) == ("unknown", None, None)
    assert clause_sentence(clause) == "prediction drift p unknown: not measured (needs < 0.05)"


def test_a_fact_that_was_not_offered_is_unknown(policy: Policy) -> None:
    assert {clause.verdict for clause in evaluate_plainly(policy, {})} == {"unknown"}


def test_a_model_never_retrained_has_cooled_down(policy: Policy) -> None:
    clause = clause_on(policy, "hours_since_last_retraining", None, never_retrained=True)
    assert (clause.verdict, clause.observed, clause.note) == ("met", None, "never retrained")
    assert clause_sentence(clause) == "cool-down never retrained (needs > 24 h)"
