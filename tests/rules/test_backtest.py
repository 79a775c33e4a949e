from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PolicyNotDecided
from rules.backtest import FactColumns, RecordedFacts, backtest, fact_columns, recorded_facts
from rules.compile import compile_policy
from rules.engine import PolicyEngine
from rules.policy import Policy, parse_policy
from tests.rules.conftest import STRICT_AND

MET = {
    "feature_drift_score": 0.31,
    "prediction_drift_p": 0.01,
    "new_samples": 120.0,
    "hours_since_last_retraining": 48.0,
}
NEAR = [0.05, 0.2, 24.0, 50.0]
VALUES = st.none() | st.floats(0, 100) | st.sampled_from(NEAR)


def column_of(policy: Policy, values: list[float | None]) -> FactColumns:
    return fact_columns(RecordedFacts(facts={**MET, "feature_drift_score": v}) for v in values)


def test_a_back_test_says_what_the_policy_would_have_said(
    policy: Policy, engine: PolicyEngine
) -> None:
    recorded = [
        RecordedFacts(facts=dict(MET)),
        RecordedFacts(facts={**MET, "prediction_drift_p": None}),
        RecordedFacts(facts={**MET, "hours_since_last_retraining": 24.0}),
        RecordedFacts(facts={**MET, "hours_since_last_retraining": None}, never_retrained=True),
        RecordedFacts(facts={}),
    ]
    result = backtest(policy, fact_columns(recorded), engine)
    assert result.retrain.tolist() == [True, False, False, True, False]
    assert result.verdicts(1)["prediction_drift"] == "unknown"
    assert result.verdicts(2)["cool_down"] == "unmet"
    assert result.verdicts(3)["cool_down"] == "met"
    assert set(result.verdicts(4).values()) == {"unknown"}
    assert result.checked == 5


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "feature_drift_score": VALUES,
                "prediction_drift_p": st.none() | st.floats(0, 1) | st.just(0.05),
                "hours_since_last_retraining": VALUES,
                "new_samples": st.none() | st.integers(0, 100),
            }
        ),
        max_size=20,
    )
)
def test_in_bulk_and_one_by_one_the_policy_says_the_same(rows: list[dict[str, Any]]) -> None:
    policy = parse_policy(STRICT_AND)
    with PolicyEngine(policy, "") as engine:
        recorded = fact_columns(RecordedFacts(facts=row) for row in rows)
        result = backtest(policy, recorded, engine, sample_rows=len(rows))
        said = [engine.evaluate(row) for row in rows]
    assert result.retrain.tolist() == [verdict.retrain for verdict in said]
    assert [result.verdicts(index) for index in range(len(rows))] == [
        {clause.clause: clause.verdict for clause in verdict.clauses} for verdict in said
    ]


def test_the_facts_of_a_recorded_decision_can_be_judged_again(
    policy: Policy, engine: PolicyEngine
) -> None:
    never = {**MET, "hours_since_last_retraining": None}
    verdicts = [engine.evaluate(MET), engine.evaluate(never, never_retrained=True)]
    recorded = [recorded_facts(verdict) for verdict in verdicts]
    assert [row.never_retrained for row in recorded] == [False, True]
    assert backtest(policy, fact_columns(recorded), engine).retrain.tolist() == [True, True]


def test_that_a_model_was_never_retrained_is_known_where_the_policy_did_not_ask(
    policy: Policy,
) -> None:
    without = parse_policy(STRICT_AND | {"clauses": STRICT_AND["clauses"][:-1]})
    with PolicyEngine(without, "") as unasked, PolicyEngine(policy, "") as engine:
        facts = {**MET, "hours_since_last_retraining": None}
        recorded = recorded_facts(unasked.evaluate(facts, never_retrained=True))
        assert backtest(policy, fact_columns([recorded]), engine).retrain.tolist() == [True]


def test_another_policy_over_the_same_facts_says_otherwise(document: dict[str, Any]) -> None:
    document["clauses"][0]["threshold"] = 0.4
    stricter = parse_policy(document)
    with PolicyEngine(stricter, "") as engine:
        result = backtest(stricter, column_of(stricter, [0.3, 0.5]), engine)
    assert result.retrain.tolist() == [False, True]


def test_a_clause_on_a_fact_nobody_recorded_is_unknown(
    policy: Policy, engine: PolicyEngine
) -> None:
    columns = FactColumns(
        columns={"psi_max": np.array([0.1, 0.4])}, never_retrained=np.array([False, True])
    )
    result = backtest(policy, columns, engine)
    assert result.verdicts(0)["feature_drift"] == "unknown"
    assert (result.verdicts(0)["cool_down"], result.verdicts(1)["cool_down"]) == ("unknown", "met")


def test_every_distinct_row_within_one_ulp_of_a_threshold_is_put_to_the_engine(
    policy: Policy, engine: PolicyEngine
) -> None:
    near = [math.nextafter(0.2, 0), 0.2, math.nextafter(0.2, 1)]
    result = backtest(policy, column_of(policy, [*near, *near, 0.9, 0.1]), engine, sample_rows=0)
    assert result.checked == 3
    assert result.retrain.tolist() == [False, False, True] * 2 + [True, False]


def test_a_sample_is_spread_evenly_over_the_rows(policy: Policy, engine: PolicyEngine) -> None:
    drifting = column_of(policy, [0.3 + number / 1000 for number in range(1000)])
    assert backtest(policy, drifting, engine, sample_rows=50).checked == 50


def test_an_empty_record_has_an_empty_back_test(policy: Policy, engine: PolicyEngine) -> None:
    result = backtest(policy, fact_columns([]), engine)
    assert (result.retrain.size, result.checked) == (0, 0)


def test_an_engine_of_another_policy_is_noticed(policy: Policy, document: dict[str, Any]) -> None:
    document["clauses"][0]["threshold"] = 0.4
    with (
        PolicyEngine(parse_policy(document), "") as other,
        pytest.raises(PolicyNotDecided, match=r"row 0 of the back-test.*an engine of the policy"),
    ):
        backtest(policy, column_of(policy, [0.3]), other)


def test_an_engine_that_says_otherwise_stops_the_back_test(policy: Policy) -> None:
    rules = compile_policy(policy)
    rules["feature_drift.met"]["all"][0]["m"] = {"$gte": {"feature_drift_score": 0.2}}
    with (
        PolicyEngine(policy, "", rules) as wrong,
        pytest.raises(PolicyNotDecided, match="the rule engine says met and unmet"),
    ):
        backtest(policy, column_of(policy, [0.9, 0.2, 0.9]), wrong, sample_rows=0)


def test_an_impossible_recorded_fact_is_refused() -> None:
    with pytest.raises(PolicyNotDecided, match="outside its bounds"):
        fact_columns([RecordedFacts(facts={"psi_max": -1.0})])
