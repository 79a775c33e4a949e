"""What training gives, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app.serving.plan import load_plan
from app.training.fit import fit, predict_pipeline
from domain.canonical import sha256_hex
from domain.contract.contract import parse_contract
from domain.errors import TrainingFailed
from domain.events.events import Row
from tests.app.training.training_rows import (
    ESTIMATORS,
    car_contract,
    cars,
    kettle_contract,
    kettle_estimator,
    kettles,
)
from tests.repository import REPOSITORY


def test_the_shipped_contracts_train_the_pipelines_they_describe() -> None:
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    for model, numbers, scaled, estimator in (
        ("car-price", ["hpwt", "mpd", "mpg", "space"], StandardScaler(), Ridge(alpha=1.0)),
        (
            "car-sales",
            ["price", "hpwt", "mpd", "mpg", "space"],
            "passthrough",
            HistGradientBoostingRegressor(
                max_iter=150, learning_rate=0.06, min_samples_leaf=15, random_state=0
            ),
        ),
    ):
        contract, digest = car_contract(model)
        frame = pd.read_csv(REPOSITORY / "data" / "us_cars_1971_1990.csv")
        seen, features = frame[frame.year <= 1978], [*numbers, "air", "region"]
        expected = make_pipeline(
            make_column_transformer((scaled, numbers), (one_hot, ["air", "region"])), estimator
        ).fit(seen[features], np.log(seen[contract.target.name].to_numpy()))
        rows = cars(contract)
        trained = fit(contract, rows[: len(seen)], digest)
        ours = predict_pipeline(contract, trained.pipeline, rows)
        np.testing.assert_allclose(ours, expected.predict(frame[features]), rtol=1e-12)
        np.testing.assert_allclose(
            trained.target, np.log(seen[contract.target.name].to_numpy()), rtol=1e-15
        )


def test_a_candidate_names_how_it_was_made() -> None:
    contract, digest = kettle_contract("random-forest")
    trained = fit(contract, kettles(60), digest)
    assert trained.estimator == "random-forest"
    assert trained.seed == 3
    assert trained.parameters == {
        "trees": 12,
        "rows_per_leaf_min": 1,
        "depth_max": "no bound",
        "features_share": 0.7,
    }
    assert set(trained.libraries) == {"python", "numpy", "pandas", "scikit-learn", "scipy"}
    assert trained.plan_sha256 == sha256_hex(trained.plan)


TRAIN = """
import json, sys
from app.training.fit import fit
from domain.contract.contract import parse_contract
given = json.load(sys.stdin)
for document in given["contracts"]:
    print(fit(parse_contract(document), given["rows"], "0" * 64).plan_sha256)
"""


def test_training_gives_the_same_plan_whatever_the_threads_and_hash_seed() -> None:
    rows, documents = kettles(80), [kettle_estimator(each) for each in ESTIMATORS]
    here = [fit(parse_contract(each), rows, "0" * 64).plan_sha256 for each in documents]
    elsewhere = subprocess.run(
        [sys.executable, "-c", TRAIN],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2"},
        input=json.dumps({"contracts": documents, "rows": rows}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert elsewhere.stdout.split() == here


def test_a_row_is_predicted_out_of_fold_without_its_group() -> None:
    contract, digest = kettle_contract("ridge")
    rows = kettles(60)
    trained = fit(contract, rows, digest)
    changed: list[Row] = [
        {**row, "noise": float(str(row["noise"])) * (3 if row["batch"] == 2 else 1)} for row in rows
    ]
    own = [number for number, row in enumerate(rows) if row["batch"] == 2]
    again = fit(contract, changed, digest)
    assert own == [8, 9, 10, 11]
    assert (again.out_of_fold[own] == trained.out_of_fold[own]).all()
    assert (again.out_of_fold != trained.out_of_fold).any()
    assert trained.out_of_fold.shape == trained.target.shape == (60,)
    in_sample = predict_pipeline(contract, trained.pipeline, rows)
    assert np.std(trained.out_of_fold - trained.target) > np.std(in_sample - trained.target)


def test_rows_of_a_single_group_are_dealt_out_one_by_one() -> None:
    contract, digest = kettle_contract("ridge")
    rows: list[Row] = [{**row, "batch": 1} for row in kettles(40)]
    assert np.isfinite(fit(contract, rows, digest).out_of_fold).all()


def test_a_feature_that_only_one_group_has_is_refused() -> None:
    contract, digest = kettle_contract("ridge")
    rows: list[Row] = [
        {**row, "power": 900.0 + number if row["batch"] == 3 else None}
        for number, row in enumerate(kettles(40))
    ]
    with pytest.raises(TrainingFailed, match="'power' is missing in all training rows but those"):
        fit(contract, rows, digest)


@pytest.mark.parametrize(
    ("rows", "saying"),
    [
        (kettles(9), r"'kettle-noise' has 9 labelled training rows; at least 10 are needed\. Send"),
        ([{**row, "noise": 60} for row in kettles(20)], r"'noise' is 60 in all 20.*other labels"),
        ([{**row, "noise": None} for row in kettles(20)], r"row 0 has 'noise' = None.*labelled"),
        (
            [{**row, "power": None} for row in kettles(20)],
            r"'power' is missing in all training rows; send",
        ),
        ([{**row, "power": 0} for row in kettles(20)], r"ridge could not.*0\.0 has no logarithm"),
    ],
    ids=["too-few", "constant", "unlabelled", "missing-feature", "no-logarithm"],
)
def test_rows_that_teach_nothing_are_refused(rows: list[Row], saying: str) -> None:
    contract, digest = kettle_contract("ridge")
    with pytest.raises(TrainingFailed, match=saying):
        fit(contract, rows, digest)


def test_a_label_without_a_logarithm_is_refused() -> None:
    contract, digest = car_contract("car-price")
    rows: list[Row] = [{**row, "price": -1.0} for row in cars(contract)[:20]]
    with pytest.raises(TrainingFailed, match=r"'price' = -1\.0, which has no logarithm; correct"):
        fit(contract, rows, digest)


def test_numbers_beyond_what_the_estimator_takes_are_refused_clearly() -> None:
    contract, digest = kettle_contract("random-forest")
    rows: list[Row] = [{**row, "tilt": 1e300 + number} for number, row in enumerate(kettles(20))]
    with pytest.raises(TrainingFailed, match="random-forest could not be fitted on 20 rows"):
        fit(contract, rows, digest)


def test_a_category_that_is_not_listed_is_none_of_the_known_ones_wherever_it_comes() -> None:
    """Given rows of which some have a plug that the contract does not list, when they train, then
    the plan knows the listed ones alone, and predicts strange plugs alike, as the pipeline does."""
    contract, digest = kettle_contract("ridge")
    rows = [{**row, "plug": 7} if n % 3 == 0 else row for n, row in enumerate(kettles(60))]

    trained = fit(contract, rows, digest)

    plug = next(f for f in json.loads(trained.plan)["features"] if f["name"] == "plug")
    assert plug["categories"] == [1, 2]
    strange = [{**rows[1], "plug": number} for number in (7, 8)]
    seven, eight = predict_pipeline(contract, trained.pipeline, strange)
    assert seven == eight
    served = load_plan(trained.plan).predict_rows(strange)
    assert served.transformed.tolist() == pytest.approx([seven, eight], abs=1e-12)
    assert served.unknown_categories == [("plug",), ("plug",)]
    before = fit(contract, rows, digest, listed_only=False)
    learnt = next(f for f in json.loads(before.plan)["features"] if f["name"] == "plug")
    assert learnt["categories"] == [1, 2, 7], "as a cycle that began under the first form does"


@pytest.mark.parametrize("estimator", ["ridge", "random-forest"])
def test_where_every_category_is_listed_the_plan_is_the_same_to_the_byte(estimator: str) -> None:
    contract, digest = kettle_contract(estimator)
    rows = kettles(60)
    both = [fit(contract, rows, digest, listed_only=only).plan for only in (True, False)]
    assert both[0] == both[1]
