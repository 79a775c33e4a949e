from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import digest
from domain.errors import NotCanonical, PolicyInvalid
from rules.policy import Policy, parse_policy, policy_digest
from rules.tree import CLAUSES_MAX, Node

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def faults_of(document: object) -> dict[str, str]:
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(document)
    return {fault.path: fault.message for fault in refused.value.faults}


def paths_of_faults(document: object) -> list[str]:
    try:
        parse_policy(document)
    except PolicyInvalid as refused:
        return [fault.path for fault in refused.faults]
    return []


def test_the_shipped_policy_holds_the_four_clauses_of_the_owner(policy: Policy) -> None:
    bounds = [(clause.fact, clause.op, clause.threshold) for clause in policy.clauses]
    assert bounds == [
        ("feature_drift_score", ">", 0.2),
        ("prediction_drift_p", "<", 0.05),
        ("new_samples", ">=", 50.0),
        ("hours_since_last_retraining", ">", 24.0),
    ]
    assert (policy.id, policy.version, policy.tree) == ("strict-and", 1, False)
    names = tuple(clause.name for clause in policy.clauses)
    assert policy.nodes == (Node(name="when", operator="all", of=names),)


def test_the_digest_is_over_the_document_before_defaults(document: dict[str, Any]) -> None:
    before, read = policy_digest(document), parse_policy(document)
    del document["combination"]
    assert parse_policy(document) == read
    assert policy_digest(document) == digest(document) != before


def test_a_document_that_json_cannot_hold_has_no_digest() -> None:
    with pytest.raises(NotCanonical, match="not a finite number"):
        policy_digest({"threshold": float("nan")})


def test_a_policy_cannot_be_changed_once_read(policy: Policy) -> None:
    with pytest.raises(ValueError, match="frozen"):
        policy.clauses[0].threshold = 0.1  # type: ignore[misc]


def test_every_fault_is_named_at_once_with_value_and_remedy(document: dict[str, Any]) -> None:
    document["id"] = "Strict"
    document["version"] = True
    document["clauses"][0]["op"] = "=="
    document["clauses"][1]["threshold"] = 1.5
    document["clauses"][2]["fact"] = "samples"
    document["clauses"][3]["unit"] = "days"
    document["clauses"].append({"name": "cool_down", "wheels": 4})
    document["clauses"].append("cool down more")
    found = faults_of(document)
    assert "use lowercase letters" in found["/id"]
    assert found["/version"].startswith("True: ")
    assert "'=='" in found["/clauses/0/op"]
    assert found["/clauses/1/threshold"] == (
        "1.5 is outside its bounds: at least 0 and at most 1 of prediction_drift_p; "
        "choose a value it can cross"
    )
    assert "use one of feature_drift_score" in found["/clauses/2/fact"]
    assert found["/clauses/3/unit"] == (
        "'days' is not the unit of hours_since_last_retraining; convert the threshold and write 'h'"
    )
    assert found["/clauses/4/name"] == "'cool_down' names an earlier clause too; rename it"
    assert found["/clauses/4/threshold"] == "is missing; add it"
    assert "remove it" in found["/clauses/4/wheels"]
    assert "write an object" in found["/clauses/5"]


def test_the_error_names_the_policy_and_counts_its_faults(document: dict[str, Any]) -> None:
    document["version"] = 0
    with pytest.raises(PolicyInvalid, match=r"policy 'strict-and' has 1 fault.*count from 1"):
        parse_policy(document)


@pytest.mark.parametrize(
    "threshold", [float("nan"), float("inf"), None, True, "0.2", 2**53, [0.2], -(2**53)]
)
def test_a_threshold_is_a_finite_number(document: dict[str, Any], threshold: object) -> None:
    document["clauses"][0]["threshold"] = threshold
    found = faults_of(document)
    assert list(found) == ["/clauses/0/threshold"]
    assert "not a finite number" in found["/clauses/0/threshold"]


def test_a_threshold_on_a_count_is_whole(document: dict[str, Any]) -> None:
    document["clauses"][2]["threshold"] = 49.5
    assert "must be whole" in faults_of(document)["/clauses/2/threshold"]


def test_a_clause_may_not_be_called_as_a_decision_is(document: dict[str, Any]) -> None:
    document["clauses"][0]["name"] = "keep"
    assert "name the clause otherwise" in faults_of(document)["/clauses/0/name"]


def test_a_policy_without_clauses_would_always_retrain_and_is_refused(
    document: dict[str, Any],
) -> None:
    document["clauses"] = []
    assert faults_of(document) == {
        "/clauses": f"has 0 clauses; name at least 1 and at most {CLAUSES_MAX}"
    }


@pytest.mark.parametrize("clauses", ["all of them", None, 4])
def test_clauses_that_are_no_list_are_refused(document: dict[str, Any], clauses: object) -> None:
    document["clauses"] = clauses
    assert "write a list of clauses" in faults_of(document)["/clauses"]


def test_a_policy_with_more_clauses_than_a_person_reads_is_refused(
    document: dict[str, Any],
) -> None:
    first = document["clauses"][0]
    document["clauses"] = [{**first, "name": f"clause_{n}"} for n in range(CLAUSES_MAX + 1)]
    assert list(faults_of(document)) == ["/clauses"]


def test_a_path_into_the_document_is_a_json_pointer(document: dict[str, Any]) -> None:
    document["a/b~c"] = 1
    assert list(faults_of(document)) == ["/a~1b~0c"]


def test_a_text_with_a_lone_surrogate_is_refused(document: dict[str, Any]) -> None:
    document["clauses"][0]["label"] = "\ud800"
    assert "correct it" in faults_of(document)["/clauses/0/label"]


@given(JSON)
def test_whatever_is_no_policy_is_refused_and_never_crashes(value: object) -> None:
    assert faults_of(value)


@given(st.sampled_from(["id", "version", "clauses", "decides", "combination", "policy"]), JSON)
def test_any_value_in_any_place_is_read_or_refused(field: str, value: object) -> None:
    clause = {
        "name": "a",
        "label": "a",
        "fact": "psi_max",
        "op": ">",
        "threshold": 1,
        "unit": "",
        "because": "a",
    }
    document = {"id": "p", "version": 1, "clauses": [clause], field: value}
    assert all(path.startswith(f"/{field}") for path in paths_of_faults(document))
