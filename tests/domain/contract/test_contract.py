from __future__ import annotations

import csv
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from app.intake.documents import parse_document
from domain.contract.contract import (
    Clip,
    Contract,
    GradientBoosting,
    HistGradientBoosting,
    Log,
    NumberFeature,
    RandomForest,
    Ridge,
    Standardise,
    contract_digest,
    parse_contract,
)
from domain.contract.rows import RowGuard
from domain.contract.window import check_window, halt_reason
from domain.errors import ContractInvalid
from domain.events.events import Row
from domain.packed import Value
from tests.domain.kettles import KETTLES, kettle_document
from tests.repository import REPOSITORY

# Nothing was refused.
reason_of = partial(halt_reason, refused_rows=0, received_rows=1)

DATA = REPOSITORY / "data"


def shipped(model: str) -> dict[str, Any]:
    path = DATA / "contracts" / f"{model}.yaml"
    return parse_document(path.read_bytes(), name=path.name)


def test_car_price_is_the_contract_the_owner_described() -> None:
    contract = parse_contract(shipped("car-price"))
    assert (contract.target.name, contract.target.transform) == ("price", "log")
    standardised = (Standardise(kind="standardise"),)
    numbers = [f for f in contract.features if isinstance(f, NumberFeature)]
    assert [f.name for f in numbers] == ["hpwt", "mpd", "mpg", "space"]
    assert all(f.transformers == standardised for f in numbers)
    assert [f.name for f in contract.features if f not in numbers] == ["air", "region"]
    assert contract.estimator == Ridge(kind="ridge", alpha=1.0, seed=0)


def test_car_sales_is_the_contract_the_owner_described() -> None:
    contract = parse_contract(shipped("car-sales"))
    assert (contract.target.name, contract.target.transform) == ("units", "log")
    assert contract.feature_names == ("price", "hpwt", "mpd", "mpg", "space", "air", "region")
    assert not any(f.transformers for f in contract.features if isinstance(f, NumberFeature))
    assert contract.estimator == HistGradientBoosting(
        kind="hist-gradient-boosting",
        iterations=150,
        learning_rate=0.06,
        rows_per_leaf_min=15,
        seed=0,
    )


@pytest.mark.parametrize("model", ["car-price", "car-sales"])
def test_both_car_contracts_agree_on_everything_else(model: str) -> None:
    contract = parse_contract(shipped(model))
    assert contract.model == model
    assert contract.identity == ("year", "car_id")
    assert contract.group == "vintage_id"
    assert (contract.event_time.column, contract.event_time.read_as) == ("year", "mid-year")
    assert contract.drift_window.years == 1
    assert contract.training_pool == "all"
    assert (contract.holdout.share, contract.holdout.rows_min) == (0.4, 20)
    assert (contract.margin, contract.policy) == (0, "strict-and")
    never = {"year", "share", "households_k", contract.target.name}
    assert never.isdisjoint(contract.feature_names)


def columns(contract: Contract, rows: list[Row]) -> dict[str, list[Value]]:
    """The features of these rows."""
    return {name: [row[name] for row in rows] for name in contract.feature_names}


@pytest.mark.parametrize("model", ["car-price", "car-sales"])
def test_every_shipped_row_passes_and_every_shipped_year_is_plausible(model: str) -> None:
    contract = parse_contract(shipped(model))
    guard = RowGuard(contract)
    with (DATA / "us_cars_1971_1990.csv").open(newline="") as lines:
        cells = list(csv.DictReader(lines))
    rows = [guard.check_row(guard.parse_csv_row(row), labelled=True) for row in cells]
    assert len(rows) == 2217
    assert len({guard.identity_of(row) for row in rows}) == 2217
    for year in range(1971, 1991):
        window = [row for row in rows if row["year"] == year]
        checks = check_window(
            contract, columns(contract, window), refused_rows=0, received_rows=len(window)
        )
        assert reason_of(checks) == ""
        assert len(checks) > 5


def test_a_whole_car_window_in_another_unit_is_not_plausible() -> None:
    contract = parse_contract(shipped("car-price"))
    guard = RowGuard(contract)
    with (DATA / "us_cars_1971_1990.csv").open(newline="") as lines:
        rows = [
            guard.check_row(guard.parse_csv_row(row), labelled=True)
            for row in csv.DictReader(lines)
            if row["year"] == "1976"
        ]
    kilometres = [{**row, "mpg": row["mpg"] * 2.5} for row in rows]  # type: ignore[operator]
    checks = check_window(contract, columns(contract, kilometres), refused_rows=0, received_rows=99)
    assert "the mean of mpg is 4." not in reason_of(checks)
    per_pound = [{**row, "hpwt": row["hpwt"] / 2.2046} for row in rows]  # type: ignore[operator]
    checks = check_window(contract, columns(contract, per_pound), refused_rows=0, received_rows=99)
    assert reason_of(checks).startswith("the mean of hpwt is 0.1")


def test_defaults_are_filled_in_and_the_digest_is_of_the_document_before_them() -> None:
    document = kettle_document()
    explicit = deepcopy(document)
    explicit["features"][1]["missing"] = "refused"
    assert parse_contract(explicit) == parse_contract(document)
    assert contract_digest(explicit) != contract_digest(document)
    assert contract_digest(deepcopy(document)) == contract_digest(document)


def test_rows_depend_on_each_other_only_where_the_contract_says_so() -> None:
    assert parse_contract(kettle_document()).blocks is None
    for blocks in ("day", "group", "serial"):
        assert parse_contract(kettle_document() | {"blocks": blocks}).blocks == blocks
    with pytest.raises(
        ContractInvalid, match="/blocks: 'week': should be 'day', 'group' or 'serial'"
    ):
        parse_contract(kettle_document() | {"blocks": "week"})


def test_transformers_are_written_by_name_or_with_parameters() -> None:
    power = KETTLES.features[0]
    assert isinstance(power, NumberFeature)
    assert power.transformers == (
        Log(kind="log"),
        Clip(kind="clip", low=0.01, high=0.99),
        Standardise(kind="standardise"),
    )
    written_out = kettle_document()
    written_out["features"][0]["transformers"][0] = {"kind": "log"}
    assert parse_contract(written_out) == KETTLES


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        ({"kind": "ridge"}, Ridge),
        ({"kind": "hist-gradient-boosting", "depth_max": None}, HistGradientBoosting),
        ({"kind": "gradient-boosting", "rows_share": 0.5}, GradientBoosting),
        ({"kind": "random-forest", "depth_max": 3}, RandomForest),
    ],
)
def test_four_estimators_may_be_chosen(estimator: dict[str, Any], kind: type) -> None:
    assert isinstance(parse_contract(kettle_document() | {"estimator": estimator}).estimator, kind)


def test_the_columns_of_a_row_are_the_features_and_then_the_others() -> None:
    assert KETTLES.row_columns == (
        *("power", "tilt", "shape", "plug"),
        *("serial", "batch", "boiled_at", "idle", "note"),
    )


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        KETTLES.margin = 3.0  # type: ignore[misc]


def test_a_document_that_is_no_json_is_refused() -> None:
    with pytest.raises(ContractInvalid, match="/margin: nan has no canonical form"):
        parse_contract(kettle_document() | {"margin": float("nan")})


def test_the_contract_survives_being_read_back_from_its_own_json() -> None:
    document = kettle_document()
    assert isinstance(parse_contract(document), Contract)
    integral = kettle_document()
    integral["holdout"]["rows_min"] = 5.0  # JSON writes 5 and 5.0 alike
    assert contract_digest(integral) == contract_digest(document)
    assert parse_contract(integral) == parse_contract(document)
