from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.errors import PolicyNotDecided
from domain.events.verdicts import Operator, verdict_sentence
from rules.compile import compile_policy
from rules.engine import PolicyEngine, _SafeRuleset
from rules.facts import FACTS
from rules.plain import HOLDS, evaluate_plainly
from rules.policy import Policy, parse_policy
from tests.rules.conftest import ALL_MET

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NEIGHBOURS = st.sampled_from([-math.inf, None, math.inf])


def beside(threshold: float, towards: float | None) -> float:
    """The threshold itself, or the next float below or above it."""
    return threshold if towards is None else math.nextafter(threshold, towards)


def one_clause(operator: Operator, threshold: float, fact: str = "psi_max") -> Policy:
    clause = {
        "name": "only",
        "label": "only",
        "fact": fact,
        "op": operator,
        "threshold": threshold,
        "unit": FACTS[fact].unit,
        "because": "a test asks",
    }
    return parse_policy({"id": "one-clause", "version": 1, "clauses": [clause]})


def engine_said(operator: Operator, threshold: float, value: float) -> list[str]:
    """Which of the two rules of a clause holds, asked of the engine alone."""
    compiled = compile_policy(one_clause(operator, 0.0))
    rules = {name: compiled[name] for name in ("only.met", "only.unmet")}
    for rule in rules.values():
        [comparison] = rule["all"][0]["m"].values()
        comparison["psi_max"] = threshold
    ruleset = _SafeRuleset("fuzzed", rules)
    said = [firing.rule for firing in ruleset.firings({"psi_max": value})]
    ruleset.discard()
    return said


@pytest.mark.parametrize("operator", HOLDS)
@given(threshold=FINITE, value=FINITE)
def test_the_engine_compares_any_two_finite_numbers_as_python_does(
    operator: Operator, threshold: float, value: float
) -> None:
    expected = "only.met" if HOLDS[operator](value, threshold) else "only.unmet"
    assert engine_said(operator, threshold, value) == [expected]


@pytest.mark.parametrize("operator", HOLDS)
@given(threshold=st.floats(-1e300, 1e300), towards=NEIGHBOURS)
def test_the_engine_sees_one_ulp(
    operator: Operator, threshold: float, towards: float | None
) -> None:
    value = beside(threshold, towards)
    expected = "only.met" if HOLDS[operator](value, threshold) else "only.unmet"
    assert engine_said(operator, threshold, value) == [expected]


@pytest.mark.parametrize("operator", HOLDS)
@given(threshold=st.floats(0, 1e300), value=st.floats(0, 1e300) | NEIGHBOURS)
def test_a_policy_decides_as_the_plain_evaluation_on_any_possible_fact(
    operator: Operator, threshold: float, value: float | None
) -> None:
    if value in (None, math.inf, -math.inf):
        value = max(0.0, beside(threshold, value))
    policy = one_clause(operator, threshold)
    with PolicyEngine(policy, "0" * 64) as engine:
        verdict = engine.evaluate({"psi_max": value})
    assert verdict.clauses == evaluate_plainly(policy, {"psi_max": value})
    assert verdict.retrain == HOLDS[operator](value, threshold)


def test_the_engine_reads_whole_numbers_up_to_two_to_the_53() -> None:
    most = 2.0**53 - 1
    with PolicyEngine(one_clause(">=", most, "new_samples"), "") as engine:
        assert engine.evaluate({"new_samples": 2**53 - 1}).retrain
        assert not engine.evaluate({"new_samples": 2**53 - 2}).retrain


def test_all_four_clauses_together_retrain(engine: PolicyEngine) -> None:
    verdict = engine.evaluate(ALL_MET)
    assert verdict.retrain
    assert [firing.rule for firing in verdict.trace] == [
        "feature_drift.met",
        "prediction_drift.met",
        "enough_labels.met",
        "cool_down.met",
        "retrain",
    ]
    assert verdict.trace[0].facts == ALL_MET
    assert verdict.trace[-1].facts["verdict_cool_down"] == "met"
    assert canonical_bytes(verdict.trace[0].facts)


@pytest.mark.parametrize(
    ("fact", "at_the_threshold", "retrain"),
    [
        ("feature_drift_score", 0.2, False),
        ("prediction_drift_p", 0.05, False),
        ("hours_since_last_retraining", 24, False),
        ("new_samples", 50, True),
    ],
)
def test_exactly_at_the_threshold_only_the_rows_are_enough(
    engine: PolicyEngine, fact: str, at_the_threshold: float, retrain: bool
) -> None:
    assert engine.evaluate({**ALL_MET, fact: at_the_threshold}).retrain is retrain


def test_keeping_names_each_clause_that_is_not_met_and_says_so(engine: PolicyEngine) -> None:
    verdict = engine.evaluate(
        {**ALL_MET, "prediction_drift_p": 0.31, "hours_since_last_retraining": 20.8}
    )
    assert not verdict.retrain
    decisions = [firing.rule for firing in verdict.trace if firing.rule.startswith("keep")]
    assert decisions == ["keep.prediction_drift", "keep.cool_down"]
    assert verdict_sentence("keep: rules not met", verdict.clauses) == (
        "KEEP: prediction drift p = 0.31 (needs < 0.05) and cool-down 20.8 h (needs > 24 h)"
    )


def test_the_verdict_names_its_policy_and_every_fact_that_was_offered(
    engine: PolicyEngine, policy: Policy
) -> None:
    verdict = engine.evaluate({**ALL_MET, "psi_max": 0.4, "window_rows": None})
    assert (verdict.policy, verdict.policy_version) == (policy.id, 1)
    assert len(verdict.policy_digest) == 64
    assert verdict.facts == {**ALL_MET, "psi_max": 0.4, "window_rows": None}


@pytest.mark.parametrize("fact", ALL_MET)
def test_an_unknown_fact_is_not_false_and_does_not_retrain(engine: PolicyEngine, fact: str) -> None:
    offered = {**ALL_MET, fact: None}
    verdict = engine.evaluate(offered)
    [clause] = [clause for clause in verdict.clauses if clause.fact == fact]
    assert (clause.verdict, verdict.retrain) == ("unknown", False)
    assert not [f for f in verdict.trace if f.rule.startswith(f"{clause.clause}.")]
    assert f"keep.{clause.clause}" in [firing.rule for firing in verdict.trace]


def test_when_nothing_is_known_every_clause_keeps(engine: PolicyEngine) -> None:
    verdict = engine.evaluate({})
    assert not verdict.retrain
    assert len(verdict.trace) == 4


def test_a_model_never_retrained_meets_the_cool_down(engine: PolicyEngine) -> None:
    offered = {**ALL_MET, "hours_since_last_retraining": None}
    verdict = engine.evaluate(offered, never_retrained=True)
    assert verdict.retrain
    assert "cool_down.met.never_retrained" in [firing.rule for firing in verdict.trace]
    assert verdict.clauses[-1].note == "never retrained"


def test_a_policy_without_a_cool_down_does_not_ask_about_retraining() -> None:
    with PolicyEngine(one_clause(">", 0.2), "") as engine:
        verdict = engine.evaluate({"psi_max": 0.3}, never_retrained=True)
    assert verdict.trace[0].facts == {"psi_max": 0.3}


def test_no_evaluation_remembers_an_earlier_one(engine: PolicyEngine) -> None:
    first = engine.evaluate(ALL_MET)
    assert not engine.evaluate({"psi_max": 0.1}).retrain
    assert not engine.evaluate({**ALL_MET, "new_samples": 49}).retrain
    assert engine.evaluate(ALL_MET) == first


def test_an_impossible_fact_decides_nothing_and_harms_nothing(engine: PolicyEngine) -> None:
    with pytest.raises(PolicyNotDecided, match="'psi_max' is nan"):
        engine.evaluate({**ALL_MET, "psi_max": math.nan})
    assert engine.evaluate(ALL_MET).retrain
