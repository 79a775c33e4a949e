from __future__ import annotations

import pytest

from domain.errors import PolicyNotDecided
from rules.facts import FACTS, check_facts, finite_number
from rules.policy import Policy


def test_the_facts_on_offer_are_these() -> None:
    assert set(FACTS) == {
        "feature_drift_score",
        "prediction_drift_p",
        "prediction_drift_p_out_of_fold",
        "new_samples",
        "hours_since_last_retraining",
        "psi_max",
        "error_ratio",
        "error_increase_p",
        "residual_evidence",
        "label_shift_p",
        "drifted_feature_share",
        "window_rows",
    }
    assert all(spec.meaning and spec.label for spec in FACTS.values())


def test_the_shipped_policy_names_only_facts_that_exist(policy: Policy) -> None:
    assert {clause.fact for clause in policy.clauses} <= set(FACTS)


def test_facts_come_back_as_floats_and_unknown_stays_unknown() -> None:
    checked = check_facts({"new_samples": 50, "psi_max": 0.25, "prediction_drift_p": None})
    assert checked == {"new_samples": 50.0, "psi_max": 0.25, "prediction_drift_p": None}
    assert type(checked["new_samples"]) is float


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (0.2, 0.2),
        (50, 50.0),
        (2**53 - 1, 2.0**53 - 1),
        (2**53, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("3", None),
        (None, None),
    ],
)
def test_a_number_is_a_finite_int_or_float(value: object, number: float | None) -> None:
    assert finite_number(value) == number


@pytest.mark.parametrize(
    ("fact", "value", "saying"),
    [
        ("psi_max", float("nan"), r"'psi_max' is nan, not a finite number"),
        ("psi_max", -0.1, r"is -0.1, which is outside its bounds: at least 0\. Correct"),
        ("prediction_drift_p", 1.01, "outside its bounds: at least 0 and at most 1"),
        ("new_samples", 49.5, "is a count and must be whole"),
        ("new_samples", "abc", "is 'abc', not a finite number"),
        ("vintage", 3, "none of those a policy may name: feature_drift_score"),
    ],
)
def test_an_impossible_fact_is_refused_by_name(fact: str, value: object, saying: str) -> None:
    with pytest.raises(PolicyNotDecided, match=saying):
        check_facts({fact: value})


def test_every_impossible_fact_is_listed_at_once() -> None:
    with pytest.raises(PolicyNotDecided) as refused:
        check_facts({"psi_max": -1, "window_rows": True, "new_samples": 3})
    assert [fault.path for fault in refused.value.faults] == ["/psi_max", "/window_rows"]


def test_a_fact_is_pointed_at_whatever_it_is_called() -> None:
    with pytest.raises(PolicyNotDecided, match="fact 'a/b' is none of those") as refused:
        check_facts({"a/b": 1})
    assert [fault.path for fault in refused.value.faults] == ["/a~1b"]


def test_a_model_never_retrained_has_no_hours_since() -> None:
    offered = {"hours_since_last_retraining": None}
    assert check_facts(offered, never_retrained=True) == offered
    with pytest.raises(PolicyNotDecided, match="never retrained; it must be unknown"):
        check_facts({"hours_since_last_retraining": 3.0}, never_retrained=True)
