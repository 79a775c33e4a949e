"""Rows to train on: the shipped cars, and kettles with everything a contract may ask for."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import yaml

from domain.contract.contract import Contract, contract_digest, parse_contract
from domain.contract.rows import RowGuard
from domain.events.events import Row
from tests.domain.kettles import kettle_document
from tests.repository import REPOSITORY

ESTIMATORS: dict[str, dict[str, Any]] = {
    "ridge": {"alpha": 0.5},
    "hist-gradient-boosting": {"iterations": 30, "rows_per_leaf_min": 4, "l2": 0.1},
    "hist-gradient-boosting, large trees": {"iterations": 5, "rows_per_leaf_min": 1}
    | {"leaves_max": 200},
    "gradient-boosting": {"iterations": 30, "rows_share": 0.7},
    "random-forest": {"trees": 12, "features_share": 0.7},
}


def car_contract(model: str) -> tuple[Contract, str]:
    """The shipped contract of `model`, and its digest."""
    document = yaml.safe_load((REPOSITORY / "data" / "contracts" / f"{model}.yaml").read_text())
    return parse_contract(document), contract_digest(document)


def cars(contract: Contract) -> list[Row]:
    """The shipped cars as labelled rows of `contract`, in the order of the file."""
    guard = RowGuard(contract)
    with (REPOSITORY / "data" / "us_cars_1971_1990.csv").open(newline="") as file:
        return [
            guard.check_row(guard.parse_csv_row(row), labelled=True) for row in csv.DictReader(file)
        ]


def kettle_estimator(estimator: str) -> dict[str, Any]:
    """The document of the kettles' contract with this estimator."""
    kind = estimator.partition(",")[0]
    return kettle_document() | {"estimator": {"kind": kind, "seed": 3, **ESTIMATORS[estimator]}}


def kettle_contract(estimator: str = "ridge") -> tuple[Contract, str]:
    """The kettles' contract with this estimator, and its digest."""
    document = kettle_estimator(estimator)
    return parse_contract(document), contract_digest(document)


def kettles(rows: int, seed: int = 0, missing: float = 0.2) -> list[Row]:
    """Made-up labelled kettles; `missing` is the share of powers and shapes that are not known."""
    chance = np.random.default_rng(seed)
    made: list[Row] = []
    for number in range(rows):
        power, tilt = float(chance.uniform(200, 4000)), float(chance.normal() / 5)
        shape = str(chance.choice(["jug", "dome"]))
        made.append(
            {
                "power": None if chance.random() < missing else power,
                "tilt": max(-1.0, min(1.0, tilt)),
                "shape": None if chance.random() < missing else shape,
                "plug": int(chance.integers(1, 3)),
                "serial": f"K-{number}",
                "batch": number // 4,
                "boiled_at": f"2024-01-{1 + number % 28:02d}T12:00:00.000000Z",
                "idle": None,
                "note": None,
                "noise": 40
                + power / 100
                + 20 * tilt
                + (3 if shape == "jug" else 0)
                + chance.normal(),
            }
        )
    return made
