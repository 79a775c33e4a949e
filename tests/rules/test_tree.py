"""Format 2 of a policy: a tree of `all` and `any`, read or refused with every fault at once."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import digest
from domain.errors import PolicyInvalid
from rules.compile import compile_policy
from rules.policy import parse_policy, policy_digest
from rules.tree import CLAUSES_MAX, Node
from tests.repository import REPOSITORY
from tests.rules.conftest import STRICT_AND
from tests.rules.test_policy import paths_of_faults
from tests.rules.trees import clause_of, document_of, policy_of, tree_of

SHIPPED = sorted((REPOSITORY / "rules" / "policies").glob("*.yaml"), key=lambda path: path.stem)
SCALARS = st.none() | st.booleans() | st.integers() | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["all", "any", "name", "op"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def faults_of(document: object) -> dict[str, str]:
    with pytest.raises(PolicyInvalid) as refused:
        parse_policy(document)
    return {fault.path: fault.message for fault in refused.value.faults}


def test_a_tree_is_read_into_clauses_and_named_nodes_in_the_documents_order() -> None:
    policy = policy_of("all(a any(all(b c) d) e)")
    assert [clause.name for clause in policy.clauses] == ["a", "b", "c", "d", "e"]
    assert policy.nodes == (
        Node(name="when", operator="all", of=("a", "when.2", "e")),
        Node(name="when.2", operator="any", of=("when.2.1", "d")),
        Node(name="when.2.1", operator="all", of=("b", "c")),
    )


@pytest.mark.parametrize(
    ("when", "path", "saying"),
    [
        (clause_of("a"), "/when", "is no node; write {all: […]} or {any: […]}"),
        ([clause_of("a")], "/when", "is no node"),
        (None, "/when", "is no node"),
        ({"all": []}, "/when/all", "joins nothing; write a list of clauses and nodes"),
        ({"any": clause_of("a")}, "/when/any", "joins nothing"),
        ({"all": [clause_of("a")], "any": [clause_of("b")]}, "/when", "'any' stands beside 'all'"),
        ({"all": [clause_of("a"), "b"]}, "/when/all/1", "write an object with the named fields"),
        ({"all": [clause_of("a"), clause_of("a")]}, "/when/all/1/name", "names an earlier clause"),
        ({"all": [{"any": [clause_of("a") | {"op": "=="}]}]}, "/when/all/0/any/0/op", "'=='"),
        ({"all": [clause_of("a") | {"name": "when"}]}, "/when/all/0/name", "name the clause other"),
        (
            {"all": [{"any": [{"all": [{"any": [clause_of("a")]}]}]}]},
            "/when/all/0/any/0/all/0",
            "is a node more than 2 below `when`; say it with fewer, or in two policies",
        ),
        (
            {"any": [clause_of("a") | {"name": f"c_{n}"} for n in range(CLAUSES_MAX + 1)]},
            "/when",
            f"has {CLAUSES_MAX + 1} clauses; name at least 1 and at most {CLAUSES_MAX}",
        ),
    ],
)
def test_what_is_no_tree_is_refused_where_it_stands(when: object, path: str, saying: str) -> None:
    assert saying in faults_of(document_of(when))[path]


def test_every_fault_of_head_and_tree_is_named_at_once() -> None:
    document = tree_of("all(a any(b c))") | {"id": "No", "clauses": []}
    document["when"]["all"][1]["any"][0]["unit"] = "h"
    del document["when"]["all"][1]["any"][1]["because"]
    found = faults_of(document)
    assert set(found) == {"/id", "/clauses", "/when/all/1/any/0/unit", "/when/all/1/any/1/because"}
    assert found["/clauses"] == "is not a known field; remove it, or correct its spelling"


def test_a_tree_without_when_and_a_tree_in_format_1_are_told_so() -> None:
    assert faults_of({"policy": "whyledger.policy/2", "id": "t", "version": 1}) == {
        "/when": "is missing; add it"
    }
    assert "remove it" in faults_of(STRICT_AND | {"when": {}})["/when"]
    assert (
        "'whyledger.policy/3'"
        in faults_of(STRICT_AND | {"policy": "whyledger.policy/3"})["/policy"]
    )


@given(JSON)
def test_whatever_stands_under_when_is_read_or_refused_in_its_place(when: object) -> None:
    assert all(path.startswith("/when") for path in paths_of_faults(document_of(when)))


def test_format_1_keeps_its_digest_and_its_engine_definition_to_the_byte() -> None:
    policy = parse_policy(STRICT_AND)
    assert policy_digest(STRICT_AND) == (
        "5f75369f15b78280308190a20e607d607304d6fdf381d8a8d484812695520581"
    )
    assert digest(compile_policy(policy)) == (
        "3ab3e7f6f536aad46850f40a902b26fa0aa32904533a4fefef40699f72fb104b"
    )


@pytest.mark.parametrize("path", SHIPPED, ids=[path.stem for path in SHIPPED])
def test_a_shipped_policy_is_named_as_its_file_is(path: Any) -> None:
    assert parse_policy(yaml.safe_load(path.read_text("utf-8"))).id == path.stem


def test_a_shipped_policy_that_changes_gets_another_version() -> None:
    """A ledger that adopted one could never take other words under the same version."""
    shipped = [yaml.safe_load(path.read_text("utf-8")) for path in SHIPPED]
    assert {(each["id"], each["version"]): policy_digest(each) for each in shipped} == {
        ("any-evidence", 2): "3c48539162941a2c8e08e236a3d65d42ec1ca4b7960dd0ccca94696b14b40598",
        ("challenger", 1): "892a1fe6e9a57f79c7d83f51ffe7b4fceb821006cfa7299d9f59567df119cbdc",
        ("strict-and", 1): "5f75369f15b78280308190a20e607d607304d6fdf381d8a8d484812695520581",
        ("strict-and-calibrated", 1): (
            "6da01c66b379ead8d9b673abad7b90f0ee7865d1e6b4e76d17766dc9828ea04f"
        ),
    }


def test_four_policies_are_shipped_and_each_needs_labels_and_a_cool_down() -> None:
    policies = [parse_policy(yaml.safe_load(path.read_text("utf-8"))) for path in SHIPPED]
    assert [policy.id for policy in policies] == [
        "any-evidence",
        "challenger",
        "strict-and",
        "strict-and-calibrated",
    ]
    for policy in policies:
        root = policy.nodes[0]
        assert root.operator == "all"
        assert {"enough_labels", "cool_down"} <= set(root.of)
