"""One row and many rows give the same bits, and what a plain reading of the document gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.serving.plan import PlanInvalid, ServingPlan, load_plan
from app.serving.trees import MaskedTrees, WalkedTrees
from domain.canonical import canonical_bytes, sha256_hex
from domain.errors import RequestInvalid
from domain.events.events import Row

NUMBERS = st.floats(-4, 4) | st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0])
ANY_NUMBER = st.floats(-1e6, 1e6) | NUMBERS
REGIONS: tuple[str | None, ...] = ("EU", "JP", "US", None)


@st.composite
def plans(draw: st.DrawFn) -> dict[str, Any]:
    """A whole plan: numbers refused, filled and native, steps, categories, any estimator."""
    kind = draw(
        st.sampled_from(["ridge", "hist-gradient-boosting", "gradient-boosting", "random-forest"])
    )
    missing: object = "native" if kind == "hist-gradient-boosting" else "refused"
    if kind != "hist-gradient-boosting" and draw(st.booleans()):
        missing = {"value": draw(NUMBERS), "indicator": draw(st.booleans())}
    clip = {"kind": "clip", "low": -2.0, "high": draw(st.floats(-2, 4))}
    scale = {"kind": "standardise", "mean": draw(NUMBERS), "scale": draw(st.floats(0.1, 9))}
    features = [
        {"type": "number", "name": "a", "missing": missing, "steps": [clip, scale]},
        {"type": "category", "name": "region", "categories": draw(st.permutations(REGIONS))},
        {"type": "number", "name": "b", "missing": "refused", "steps": []},
        {"type": "number", "name": "c", "missing": "refused", "steps": [{"kind": "log"}]},
    ]
    columns = 7 + (isinstance(missing, dict) and missing["indicator"])
    if kind == "ridge":
        given_ = draw(st.lists(NUMBERS, min_size=columns, max_size=columns))
        estimator: dict[str, Any] = {"kind": kind, "intercept": 0.3, "coefficients": given_}
    else:
        trees = [draw(tree(columns)) for _ in range(draw(st.integers(1, 5)))]
        combine = "mean" if kind == "random-forest" else "sum"
        estimator = {"kind": kind, "combine": combine, "base": draw(NUMBERS), "trees": trees}
    return {
        "format": "whyledger.plan/1",
        "model": "m",
        "contract_digest": "0" * 64,
        "target": {"name": "y", "unit": "1", "transform": draw(st.sampled_from(["log", "none"]))},
        "features": features,
        "estimator": estimator,
    }


@st.composite
def tree(draw: st.DrawFn, columns: int) -> dict[str, Any]:
    built: dict[str, Any] = {"column": [], "number": [], "right": [], "missing_left": []}

    def grow(levels: int) -> None:
        node = len(built["column"])
        splits = levels > 0 and draw(st.booleans())
        built["column"].append(draw(st.integers(0, columns - 1)) if splits else -1)
        built["number"].append(draw(st.none() | NUMBERS) if splits else draw(ANY_NUMBER))
        built["right"].append(0)
        if splits:
            if draw(st.booleans()):
                built["missing_left"].append(node)
            grow(levels - 1)
            built["right"][node] = len(built["column"])
            grow(levels - 1)

    grow(4)
    return built


@st.composite
def rows_of(draw: st.DrawFn, plan: dict[str, Any]) -> list[Row]:
    a = NUMBERS if plan["features"][0]["missing"] == "refused" else st.none() | NUMBERS
    row = st.fixed_dictionaries(
        {
            "a": a,
            "region": st.sampled_from([*REGIONS, "Mars"]),
            "b": NUMBERS | st.integers(-3, 3),
            "c": st.floats(1e-3, 10),
            "year": st.just(1976),
        }
    )
    rows: list[Row] = draw(st.lists(row, max_size=6))
    return rows


def read_plainly(plan: dict[str, Any], row: dict[str, Any]) -> float:
    """The prediction as the document says it, node by node, on the transformed scale."""
    columns = [each for feature in plan["features"] for each in columns_of(feature, row)]
    estimator = plan["estimator"]
    if estimator["kind"] == "ridge":
        total = estimator["intercept"]
        for coefficient, column in zip(estimator["coefficients"], columns, strict=True):
            total += column * coefficient
        return float(total)
    total = estimator["base"]
    for each in estimator["trees"]:
        node = 0
        while each["column"][node] >= 0:
            value, threshold = columns[each["column"][node]], each["number"][node]
            left = threshold is None or value <= threshold
            if math.isnan(value):
                left = node in each["missing_left"]
            node = node + 1 if left else each["right"][node]
        total += each["number"][node]
    return float(total / len(estimator["trees"]) if estimator["combine"] == "mean" else total)


def columns_of(feature: dict[str, Any], row: dict[str, Any]) -> list[float]:
    value = row[feature["name"]]
    if feature["type"] == "category":
        return [float(value == each) for each in feature["categories"]]
    gone = value is None
    indicator = isinstance(feature["missing"], dict) and feature["missing"]["indicator"]
    if gone:
        value = math.nan if feature["missing"] == "native" else feature["missing"]["value"]
    for step in feature["steps"]:
        if step["kind"] == "clip":
            value = value if math.isnan(value) else min(max(value, step["low"]), step["high"])
        elif step["kind"] == "log":
            value = math.log(value)
        else:
            value = (value - step["mean"]) / step["scale"]
    return [float(value), float(gone)] if indicator else [float(value)]


def bits(values: Any) -> list[str]:
    return [float(value).hex() for value in np.asarray(values).tolist()]


@settings(max_examples=300)
@given(st.data())
def test_one_row_many_rows_and_the_plain_reading_agree_to_the_bit(data: st.DataObject) -> None:
    document = data.draw(plans())
    rows = data.draw(rows_of(document))
    try:
        plan = load_plan(canonical_bytes(document))
        expected = [math.exp(t) for t in (read_plainly(document, dict(row)) for row in rows)]
    except OverflowError:
        return  # refused by predict_row, as its own test says
    many = plan.predict_rows(rows)
    one = [plan.predict_row(row) for row in rows]
    assert bits([each.transformed for each in one]) == bits(many.transformed)
    assert bits([each.native for each in one]) == bits(many.native)
    assert [each.unknown_categories for each in one] == many.unknown_categories
    assert list(many.transformed) == [read_plainly(document, dict(row)) for row in rows]
    if document["target"]["transform"] == "log":
        assert list(many.native) == expected


@settings(max_examples=200)
@given(st.data())
def test_masked_and_walked_trees_agree_to_the_bit(data: st.DataObject) -> None:
    document = data.draw(plans().filter(lambda plan: plan["estimator"]["kind"] != "ridge"))
    document["target"]["transform"] = "none"
    rows = data.draw(rows_of(document))
    masked = load_plan(canonical_bytes(document))
    assert isinstance(masked._estimator, MaskedTrees)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.serving.trees.LEAVES_MASKED_MAX", 0)
        walked = load_plan(canonical_bytes(document))
    assert isinstance(walked._estimator, WalkedTrees)
    assert bits(walked.predict_rows(rows).transformed) == bits(masked.predict_rows(rows)[0])
    alone = [walked.predict_row(row).transformed for row in rows]
    assert bits(alone) == bits(walked.predict_rows(rows).transformed)


def test_trees_whose_masks_would_take_too_much_memory_are_walked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.serving.trees.TABLE_BYTES_MAX", 0)
    assert isinstance(small("random-forest")._estimator, WalkedTrees)


def test_more_rows_than_fit_at_once_are_predicted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [{"a": value / 7, "region": "EU"} for value in range(20)]
    for kind in ("random-forest", "deep"):
        plan = small(kind)
        whole = plan.predict_rows(rows).transformed
        monkeypatch.setattr("app.serving.trees.ROWS_AT_ONCE", 3)
        assert bits(plan.predict_rows(rows).transformed) == bits(whole)


def small(kind: str = "ridge", transform: str = "none", **number: Any) -> ServingPlan:
    estimator: dict[str, Any] = {"kind": kind, "intercept": 1.0, "coefficients": [2.0, 3.0, 4.0]}
    if kind != "ridge":
        leaves = 70 if kind == "deep" else 3  # a chain: every left child is a leaf
        column = [0, -1] * (leaves - 1) + [-1]
        number_ = [float(node) / 10 for node in range(len(column))]
        right = [node + 2 if each >= 0 else 0 for node, each in enumerate(column)]
        trees = [{"column": column, "number": number_, "right": right}]
        estimator = {"kind": "random-forest", "combine": "mean", "base": 0, "trees": trees}
    document = {
        "format": "whyledger.plan/1",
        "model": "m",
        "contract_digest": "0" * 64,
        "target": {"name": "y", "unit": "1", "transform": transform},
        "features": [
            {"type": "number", "name": "a", "missing": "refused", "steps": [], **number},
            {"type": "category", "name": "region", "categories": ["EU", "US"]},
        ],
        "estimator": estimator,
    }
    return load_plan(canonical_bytes(document))


def test_an_unseen_category_counts_as_none_of_them_and_is_named() -> None:
    plan = small()
    assert plan.predict_row({"a": 1, "region": "US"}) == (7.0, 7.0, ())
    assert plan.predict_row({"a": 1, "region": "Mars"}) == (3.0, 3.0, ("region",))
    assert plan.predict_row({"a": 1, "region": None}).unknown_categories == ()


def test_a_log_target_is_answered_in_its_own_unit_by_exp() -> None:
    answer = small(transform="log").predict_row({"a": 0.25, "region": "EU"})
    assert (answer.transformed, answer.native) == (4.5, math.exp(4.5))


def test_no_rows_give_no_predictions() -> None:
    many = small().predict_rows([])
    assert (many.transformed.shape, many.native.shape, many.unknown_categories) == ((0,), (0,), [])


@pytest.mark.parametrize("row", [{"a": None, "region": "EU"}, {"region": "EU"}])
def test_a_missing_value_the_plan_needs_is_refused(row: Row) -> None:
    for predict in (small().predict_row, lambda each: small().predict_rows([each])):
        with pytest.raises(RequestInvalid, match=r"no 'a'.*send 'a'"):
            predict(row)


@pytest.mark.parametrize("value", [0, -1.5])
def test_a_number_without_a_logarithm_is_refused(value: float) -> None:
    plan = small(steps=[{"kind": "log"}])
    row: Row = {"a": value, "region": "EU"}
    for predict in (plan.predict_row, lambda each: plan.predict_rows([each])):
        with pytest.raises(RequestInvalid, match="send a value above 0"):
            predict(row)


@pytest.mark.parametrize(("transform", "a"), [("log", 1e4), ("none", 1e308)])
def test_a_prediction_beyond_all_numbers_is_refused(transform: str, a: float) -> None:
    plan = small(transform=transform)
    for predict in (plan.predict_row, lambda each: plan.predict_rows([each])):
        with pytest.raises(RequestInvalid, match="far outside what the champion was trained on"):
            predict({"a": a, "region": "EU"})


def test_a_plan_is_named_by_the_digest_of_its_bytes() -> None:
    content = canonical_bytes(
        {
            "format": "whyledger.plan/1",
            "model": "m",
            "contract_digest": "0" * 64,
            "target": {"name": "y", "unit": "1", "transform": "none"},
            "features": [{"type": "category", "name": "air", "categories": [0, 1]}],
            "estimator": {"kind": "ridge", "intercept": 0, "coefficients": [1, 2]},
        }
    )
    assert load_plan(content, sha256_hex(content)).sha256 == sha256_hex(content)
    with pytest.raises(PlanInvalid, match="fetch the artefact from the ledger again"):
        load_plan(content, "0" * 64)
