"""A contract about kettles, which no code knows, with everything a contract may say."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from domain.contract.contract import Contract, parse_contract
from domain.contract.rows import RowGuard

_KETTLES: dict[str, Any] = {
    "contract": "whyledger.contract/1",
    "model": "kettle-noise",
    "title": "How loud a kettle is",
    "target": {
        "name": "noise",
        "unit": "dB",
        "meaning": "loudest second",
        "transform": "none",
        "possible": {"min": 0, "max": 140},
    },
    "features": [
        {
            "name": "power",
            "type": "number",
            "unit": "W",
            "meaning": "rated power",
            "possible": {"min": 100, "max": 5000},
            "plausible": {"mean": {"min": 500, "max": 3500}, "missing_share_max": 0.25},
            "missing": "allowed",
            "transformers": ["log", {"clip": {"low": 0.01, "high": 0.99}}, "standardise"],
        },
        {
            "name": "tilt",
            "type": "number",
            "unit": "1",
            "meaning": "slope of the base",
            "possible": {"min": -1, "max": 1},
        },
        {
            "name": "shape",
            "type": "category",
            "meaning": "its form",
            "categories": ["jug", "dome"],
            "unknown": "refuse",
            "missing": "allowed",
        },
        {
            "name": "plug",
            "type": "category",
            "meaning": "type of plug",
            "categories": [1, 2],
            "unknown": "accept",
        },
    ],
    "columns": [
        {"name": "serial", "type": "text", "meaning": "its serial number"},
        {"name": "batch", "type": "integer", "meaning": "production batch"},
        {"name": "boiled_at", "type": "text", "meaning": "when it was measured"},
        {
            "name": "idle",
            "type": "number",
            "unit": "W",
            "meaning": "power when off",
            "possible": {"min": 0, "max": 5000},
            "missing": "allowed",
        },
        {"name": "note", "type": "text", "meaning": "anything", "missing": "allowed"},
    ],
    "ignored": [{"name": "colour", "because": "no kettle is loud because it is red"}],
    "rules": [
        {
            "name": "idle-below-power",
            "left": "idle",
            "op": "<",
            "right": "power",
            "because": "off is less than on",
        },
        {
            "name": "audible",
            "left": "noise",
            "op": ">",
            "right": 1,
            "because": "silence means a dead microphone",
        },
    ],
    "identity": ["serial", "batch"],
    "group": "batch",
    "event_time": {"column": "boiled_at", "as": "timestamp"},
    "estimator": {"kind": "random-forest", "trees": 10, "features_share": 0.5, "seed": 7},
    "drift_window": {"days": 30},
    "training_pool": "all",
    "holdout": {"share": 0.2, "rows_min": 5},
    "margin": 0.1,
    "refused_share_max": 0.1,
    "policy": "strict-and",
    "value_of_error": {"per_unit": 2.5, "unit": "EUR"},
    "health": {"rmse_max": 6, "evaluation_within_days": 30, "labels_within_days": 14},
}

ROW: dict[str, Any] = {
    "power": 2000,
    "tilt": 0.5,
    "shape": "jug",
    "plug": 1,
    "serial": "K-1",
    "batch": 12,
    "boiled_at": "2024-02-29T12:00:00Z",
    "idle": 1.5,
    "note": None,
}


def kettle_document() -> dict[str, Any]:
    """The contract's document, free to be changed."""
    return deepcopy(_KETTLES)


KETTLES: Contract = parse_contract(kettle_document())
GUARD = RowGuard(KETTLES)
