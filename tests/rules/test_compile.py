from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.errors import NotCanonical
from rules.compile import clause_rules, compile_policy, engine_number, engine_text
from rules.policy import Policy, parse_policy


def test_each_clause_becomes_a_met_and_an_unmet_rule_over_one_message(policy: Policy) -> None:
    rules = compile_policy(policy)
    assert list(rules) == [
        "feature_drift.met",
        "feature_drift.unmet",
        "prediction_drift.met",
        "prediction_drift.unmet",
        "enough_labels.met",
        "enough_labels.unmet",
        "cool_down.met",
        "cool_down.unmet",
        "cool_down.met.never_retrained",
        "retrain",
        "keep.feature_drift",
        "keep.prediction_drift",
        "keep.enough_labels",
        "keep.cool_down",
    ]
    assert rules["enough_labels.met"] == {"all": [{"m": {"$gte": {"new_samples": 50.0}}}]}
    assert rules["enough_labels.unmet"] == {"all": [{"m": {"$lt": {"new_samples": 50.0}}}]}
    assert rules["keep.cool_down"] == {"all": [{"m": {"$neq": {"verdict_cool_down": "met"}}}]}


def test_the_strict_and_is_a_rule_over_the_verdicts_of_every_clause(policy: Policy) -> None:
    [over] = compile_policy(policy)["retrain"]["all"]
    assert over["m"]["$and"] == [{f"verdict_{c.name}": "met"} for c in policy.clauses]


def test_a_compiled_policy_is_data_inside_the_safe_subset(policy: Policy) -> None:
    rules = compile_policy(policy)
    assert canonical_bytes(rules)
    assert all(len(rule["all"]) == 1 and list(rule["all"][0]) == ["m"] for rule in rules.values())
    written = engine_text(rules)
    assert not [word for word in ("$or", "$nex", "$ex", "$not", "run") if f'"{word}"' in written]


def test_every_rule_over_facts_stands_for_one_clause_and_verdict(policy: Policy) -> None:
    decisions = {"retrain", *(f"keep.{clause.name}" for clause in policy.clauses)}
    assert set(clause_rules(policy)) | decisions == set(compile_policy(policy))


def test_no_wait_can_be_too_long_for_a_model_that_was_never_retrained(
    document: dict[str, Any],
) -> None:
    document["clauses"][3]["op"] = "<"
    rules = clause_rules(parse_policy(document))
    assert rules["cool_down.unmet.never_retrained"] == ("cool_down", "unmet")
    assert "cool_down.met.never_retrained" not in rules


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e-05, "1.0e-05"),
        (1.5e-07, "1.5e-07"),
        (1e16, "1.0e+16"),
        (0.2, "0.2"),
        (50.0, "50.0"),
        (50, "50"),
        (-0.0, "-0.0"),
        (2**53 - 1, "9007199254740991"),
    ],
)
def test_a_number_is_written_with_a_point_before_its_exponent(number: float, text: str) -> None:
    assert engine_number(number) == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 2**53, -(2**53), True, None]
)
def test_what_the_engine_would_misread_is_never_written(value: object) -> None:
    with pytest.raises(NotCanonical, match=r"is not a finite number.*Leave it out"):
        engine_text({"x": value})


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_float_reads_back_as_itself(number: float) -> None:
    read = json.loads(engine_number(number))
    assert read == number
    assert math.copysign(1, read) == math.copysign(1, number)


@given(st.recursive(st.text() | st.integers(-(2**53) + 1, 2**53 - 1), st.lists))
def test_written_text_reads_back_as_itself(value: object) -> None:
    assert json.loads(engine_text({"a": value})) == {"a": value}
