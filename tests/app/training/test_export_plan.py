"""Plan and pipeline agree: trees to the bit, linear models within 1e-12."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.serving.plan import load_plan
from app.serving.plan_document import Trees, parse_plan
from app.training.export_plan import thresholds_for_doubles
from app.training.fit import fit, predict_pipeline
from domain.contract.contract import contract_digest, parse_contract
from domain.decisions.parity import check_parity
from domain.events.events import Row
from tests.app.training.training_rows import (
    ESTIMATORS,
    car_contract,
    cars,
    kettle_contract,
    kettle_estimator,
    kettles,
)

FLOAT32_MAX = float(np.finfo(np.float32).max)
WITHIN_FLOAT32 = st.floats(-FLOAT32_MAX, FLOAT32_MAX)


@given(WITHIN_FLOAT32, WITHIN_FLOAT32 | st.none())
@example(1.0, 1.0 + 2.0**-24)  # right in the middle of two float32 numbers, the lower one even
@example(1.0 + 2.0**-23, 1.0 + 3 * 2.0**-24)  # and the lower one odd
@example(0.0, 1e-46)  # rounds to zero
@example(-1e-60, -1e-60)
@example(FLOAT32_MAX, FLOAT32_MAX)
def test_a_double_turns_as_its_float32_would_have(threshold: float, value: float | None) -> None:
    if value is None:
        with np.errstate(over="ignore"):
            value = float(np.nextafter(np.float32(threshold), np.float32(1)))
    (ours,) = thresholds_for_doubles(np.array([threshold]))
    for near in (value, threshold, math.nextafter(ours, math.inf), math.nextafter(ours, -math.inf)):
        with np.errstate(over="ignore"):
            theirs = float(np.float32(near)) <= threshold
        assert (near <= ours) == theirs


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_plan_and_pipeline_agree_on_missing_values_and_unseen_categories(
    estimator: str, missing: float
) -> None:
    contract, digest = kettle_contract(estimator)
    trained = fit(contract, kettles(300, missing=missing), digest)
    rows: list[Row] = [
        {**row, "plug": 9} if number % 5 == 0 else row
        for number, row in enumerate(kettles(200, seed=1, missing=0.3))
    ]
    plan = load_plan(trained.plan, trained.plan_sha256)
    ours, theirs = plan.predict_rows(rows), predict_pipeline(contract, trained.pipeline, rows)
    checked = check_parity(
        pipeline=theirs, plan=ours.transformed, exact=contract.estimator.kind != "ridge"
    )
    assert checked.passed, checked.reason
    assert [plan.predict_row(row).transformed for row in rows] == list(ours.transformed)
    assert sum(names == ("plug",) for names in ours.unknown_categories) == 40


@pytest.mark.parametrize("model", ["car-price", "car-sales"])
def test_plan_and_pipeline_agree_on_the_shipped_cars(model: str) -> None:
    contract, digest = car_contract(model)
    rows = cars(contract)
    trained = fit(contract, [row for row in rows if int(str(row["year"])) <= 1980], digest)
    plan = load_plan(trained.plan)
    later = [row for row in rows if int(str(row["year"])) > 1980]
    checked = check_parity(
        pipeline=predict_pipeline(contract, trained.pipeline, later),
        plan=plan.predict_rows(later).transformed,
        exact=model == "car-sales",
    )
    assert checked.passed, checked.reason
    assert plan.contract_digest == digest
    assert plan.feature_names == contract.feature_names


def test_a_split_that_only_tells_missing_values_apart_is_exported() -> None:
    contract, digest = kettle_contract("hist-gradient-boosting")
    rows: list[Row] = [
        {**row, "power": None if number % 2 else 1500.0, "noise": 60.0 + 20 * (number % 2)}
        for number, row in enumerate(kettles(200, missing=0.0))
    ]
    trained = fit(contract, rows, digest)
    estimator = parse_plan(trained.plan).estimator
    assert isinstance(estimator, Trees)
    assert any(
        None in [n for n, c in zip(tree.number, tree.column, strict=True) if c >= 0]
        for tree in estimator.trees
    )
    ours = load_plan(trained.plan).predict_rows(rows).transformed
    assert ours.tolist() == predict_pipeline(contract, trained.pipeline, rows).tolist()


def test_a_sound_ridge_on_metres_from_a_far_zero_agrees_relative_to_the_terms_it_adds() -> None:
    document = kettle_estimator("ridge")
    metres: dict[str, Any] = {"type": "number", "unit": "m", "meaning": "UTM coordinate"}
    wide = {"min": 0, "max": 10_000_000}
    document["features"] = [
        {"name": name, "possible": wide, **metres} for name in ("easting", "northing")
    ]
    document["rules"] = []
    contract = parse_contract(document)
    chance = np.random.default_rng(2)
    rows: list[Row] = [
        row
        | {
            "easting": 691_000 + east,
            "northing": 5_335_000 + north,
            "noise": 40 + 0.4 * (east - north),
        }
        for row, (east, north) in zip(
            kettles(400), chance.uniform(0, 50, (400, 2)).tolist(), strict=True
        )
    ]
    trained = fit(contract, rows, contract_digest(document))
    plan = load_plan(trained.plan)
    theirs, ours = predict_pipeline(contract, trained.pipeline, rows), plan.predict_rows(rows)
    sound = check_parity(
        pipeline=theirs, plan=ours.transformed, exact=False, terms=plan.terms_of(rows)
    )
    assert sound.passed, sound.reason
    first = check_parity(pipeline=theirs, plan=ours.transformed, exact=False)
    assert not first.passed, "by the first form rounding of large terms was called a fault"
    wrong = ours.transformed * (1 + 1e-6)
    found = check_parity(pipeline=theirs, plan=wrong, exact=False, terms=plan.terms_of(rows))
    assert (found.passed, found.feature) == (False, "northing")


def test_the_terms_of_a_linear_plan_are_what_it_adds_and_trees_add_none() -> None:
    contract, digest = kettle_contract("ridge")
    rows = kettles(60)
    plan = load_plan(fit(contract, rows, digest).plan)
    terms = plan.terms_of(rows)
    assert terms is not None
    assert (terms.total >= np.abs(plan.predict_rows(rows).transformed) - 1e-9).all()
    assert set(terms.largest) <= set(contract.feature_names)
    forest, digest = kettle_contract("random-forest")
    assert load_plan(fit(forest, rows, digest).plan).terms_of(rows) is None
