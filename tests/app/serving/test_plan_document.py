"""What may serve and what may not, document by document."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.serving.plan_document import PLAN_BYTES_MAX, Linear, PlanInvalid, parse_plan
from domain.canonical import canonical_bytes

STUMP = {"column": [0, -1, -1], "number": [0.5, 1.0, 2.0], "right": [2, 0, 0]}
DEEP: dict[str, Any] = {
    "column": [0, 1, -1, -1, -1],
    "number": [0.5, None, 1.0, 2.0, 3.0],
    "right": [4, 3, 0, 0, 0],
    "missing_left": [0, 1],
}
NUMBER: dict[str, Any] = {"type": "number", "name": "hpwt", "missing": "native", "steps": []}
CATEGORY = {"type": "category", "name": "region", "categories": ["EU", "US", None]}
LINEAR = {"kind": "ridge", "intercept": 0.1, "coefficients": [1.0, 2.0, 3.0, 4.0]}
TREES = {"kind": "random-forest", "combine": "mean", "base": 0, "trees": [STUMP, DEEP]}


def plan(**changed: Any) -> dict[str, Any]:
    document = {
        "format": "whyledger.plan/1",
        "model": "car-price",
        "contract_digest": "0" * 64,
        "target": {"name": "price", "unit": "kUSD", "transform": "log"},
        "features": [NUMBER, CATEGORY],
        "estimator": LINEAR,
    }
    return copy.deepcopy({**document, **changed})


def with_tree(**changed: Any) -> dict[str, Any]:
    return plan(estimator={**TREES, "trees": [{**DEEP, **changed}]})


def refusal(document: object) -> PlanInvalid:
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(document if isinstance(document, bytes) else canonical_bytes(document))
    return caught.value


def test_whole_plans_are_read() -> None:
    assert parse_plan(canonical_bytes(plan())).columns == 4
    assert parse_plan(canonical_bytes(plan(estimator=TREES))).estimator.kind == "random-forest"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_numbers_come_back_to_the_bit(numbers: list[float]) -> None:
    document = plan(estimator={**LINEAR, "coefficients": numbers})
    read = parse_plan(canonical_bytes(document)).estimator
    assert isinstance(read, Linear)
    assert read.coefficients == tuple(numbers)


@pytest.mark.parametrize(
    ("content", "saying"),
    [
        (b"\x80\x04K\x01.", "no JSON"),  # a pickle of 1
        (b'{"format": NaN}', "no JSON"),
        (b"[]", "valid dictionary"),
        (b" " * (PLAN_BYTES_MAX + 1), "train fewer or smaller trees"),
    ],
    ids=["a-pickle", "nan", "a-list", "too-large"],
)
def test_what_is_no_plan_is_refused(content: bytes, saying: str) -> None:
    assert saying in refusal(content).message


@pytest.mark.parametrize(
    ("document", "path", "saying"),
    [
        (plan(format="whyledger.plan/2"), "/format", "whyledger.plan/1"),
        (plan(code="import os"), "/code", "not a known field"),
        (plan(contract_digest="abc"), "/contract_digest", "pattern"),
        (plan(features=[]), "/features", "at least 1"),
        (plan(features=[NUMBER, CATEGORY, NUMBER]), "/features/2/name", "there twice"),
        (
            plan(features=[{**CATEGORY, "categories": ["EU", "US", "EU"]}]),
            "/features/0/categories",
            "there twice",
        ),
        (
            plan(features=[{**NUMBER, "steps": [{"kind": "clip", "low": 2, "high": 1}]}]),
            "/features/0/steps/0",
            "above high",
        ),
        (
            plan(features=[{**NUMBER, "steps": [{"kind": "standardise", "mean": 0, "scale": 0}]}]),
            "/features/0/steps/0/scale",
            "greater than 0",
        ),
        (
            plan(features=[{**NUMBER, "steps": [{"kind": "eval"}]}]),
            "/features/0/steps/0",
            "'kind' should be one of 'clip'",
        ),
        (plan(estimator={**LINEAR, "coefficients": [1.0]}), "/estimator/coefficients", "1 for 4"),
        (plan(estimator={**LINEAR, "intercept": "1"}), "/estimator/intercept", "number"),
        (plan(estimator={**LINEAR, "intercept": True}), "/estimator/intercept", "number"),
        (plan(estimator={**TREES, "trees": []}), "/estimator/trees", "at least 1"),
        (with_tree(column=[0, 4, -1, -1, -1]), "/estimator/trees/0", "column 4 of 4"),
        (with_tree(right=[4, 3, 0, 0]), "/estimator/trees/0", "4 right children"),
        (with_tree(right=[4, 1, 0, 0, 0]), "/estimator/trees/0", "node 3, not 1"),
        (with_tree(right=[3, 4, 0, 0, 0]), "/estimator/trees/0", "node 3, not 4"),
        (with_tree(right=[9, 3, 0, 0, 0]), "/estimator/trees/0", "node 4, not 9"),
        (with_tree(right=[4, 3, 1, 0, 0]), "/estimator/trees/0", "or a child"),
        (with_tree(number=[0.5, 0.5, None, 1, 1]), "/estimator/trees/0", "no value"),
        (with_tree(missing_left=[2]), "/estimator/trees/0", "missing_left"),
        (with_tree(missing_left=[1, 0]), "/estimator/trees/0", "missing_left"),
        (with_tree(missing_left=[7]), "/estimator/trees/0", "missing_left"),
        (
            plan(estimator={**TREES, "trees": [{"column": [], "number": [], "right": []}]}),
            "/estimator/trees/0",
            "0 columns",
        ),
        (
            plan(estimator={**TREES, "trees": [{"column": [0], "number": [1], "right": [1]}]}),
            "/estimator/trees/0",
            "before its last leaf",
        ),
        (
            plan(
                estimator={
                    **TREES,
                    "trees": [{"column": [0, -1], "number": [1, 1], "right": [2, 0]}],
                }
            ),
            "/estimator/trees/0",
            "before its last leaf",
        ),
        (
            plan(
                estimator={
                    **TREES,
                    "trees": [{"column": [-1, -1], "number": [1, 1], "right": [0, 0]}],
                }
            ),
            "/estimator/trees/0",
            "after the last leaf",
        ),
    ],
)
def test_every_fault_is_named_with_its_place(
    document: dict[str, Any], path: str, saying: str
) -> None:
    faults = refusal(document).faults
    assert [saying in fault.message for fault in faults if fault.path == path] == [True], faults


def test_all_faults_are_told_at_once() -> None:
    faults = refusal(plan(format="other", model=3)).faults
    assert [fault.path for fault in faults] == ["/format", "/model"]


@given(st.data())
def test_a_tree_with_any_pointer_changed_is_refused(data: st.DataObject) -> None:
    pick: Callable[[st.SearchStrategy[int]], int] = data.draw
    node = pick(st.integers(0, 4))
    right = [4, 3, 0, 0, 0]
    right[node] = (right[node] + pick(st.integers(1, 6))) % 7
    assert "the plan has 1 fault" in refusal(with_tree(right=right)).message


def test_a_plan_with_too_many_nodes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.serving.plan_document.NODES_MAX", 7)
    assert "8 nodes, at most 7" in refusal(plan(estimator=TREES)).message
