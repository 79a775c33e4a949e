"""From a fitted pipeline to the serving plan: canonical JSON that repeats it to the bit.

Linear models are repeated within 1e-12 (the order of the sum is the plan's own), trees exactly. The
parity gate checks it on rows that training has not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from app.training.pipeline import COLUMNS, ESTIMATOR, MISSING, takes_missing_values
from domain.canonical import canonical_bytes
from domain.contract.contract import CategoryFeature, Contract, NumberFeature

Floats = NDArray[np.float64]
_FLOAT32_END: Final = 2.0**128  # what follows the largest float32, were there no infinity
_LEAF: Final = -1


def export_plan(contract: Contract, contract_digest: str, pipeline: Pipeline) -> bytes:
    """The canonical bytes of the plan of a fitted `pipeline` of `contract`.

    Raises:
        NotCanonical: a fitted parameter is not finite.
    """
    document = {
        "format": "whyledger.plan/1",
        "model": contract.model,
        "contract_digest": contract_digest,
        "target": {
            "name": contract.target.name,
            "unit": contract.target.unit,
            "transform": contract.target.transform,
        },
        "features": _features(contract, pipeline),
        "estimator": _estimator(contract.estimator.kind, pipeline.named_steps[ESTIMATOR]),
    }
    return canonical_bytes(document)


def thresholds_for_doubles(thresholds: Floats) -> Floats:
    """Thresholds t' such that x <= t' exactly when float32(x) <= t, for every finite double x.

    scikit-learn's exact trees cast their input to float32 before they compare; with these
    thresholds (shape as given) a plan compares doubles and takes the same turns.
    """
    with np.errstate(over="ignore"):  # at both ends of float32
        below = thresholds.astype(np.float32)
        below = np.where(below > thresholds, np.nextafter(below, np.float32(-np.inf)), below)
        above = np.nextafter(below, np.float32(np.inf))
    after = np.where(np.isinf(above), _FLOAT32_END, above.astype(np.float64))
    middle = below.astype(np.float64) / 2 + after / 2
    even = below.view(np.int32) % 2 == 0  # a double right in the middle rounds to the even one
    return np.where(even, middle, np.nextafter(middle, -np.inf))


def _features(contract: Contract, pipeline: Pipeline) -> list[dict[str, Any]]:
    """One description for each feature, in the contract's order."""
    fitted = {
        name: (transformer, index)
        for key, transformer, names in pipeline.named_steps[COLUMNS].transformers_
        if not key.endswith(MISSING)
        for index, name in enumerate(names)
    }
    described = []
    for feature in contract.features:
        transformer, index = fitted[feature.name]
        if isinstance(feature, CategoryFeature):
            categories = [_plain(category) for category in transformer.categories_[index]]
            described.append({"type": "category", "name": feature.name, "categories": categories})
        else:
            described.append(_number(contract, feature, transformer, index))
    return described


def _number(
    contract: Contract, feature: NumberFeature, transformer: Any, index: int
) -> dict[str, Any]:
    steps = [step for _, step in transformer.steps] if hasattr(transformer, "steps") else []
    missing: object = "refused"
    if feature.missing == "allowed" and takes_missing_values(contract):
        missing = "native"
    elif feature.missing == "allowed":
        imputer, *steps = steps
        missing = {"value": float(imputer.statistics_[index]), "indicator": True}
    exported: list[dict[str, Any]] = []
    for spec, step in zip(feature.transformers, steps, strict=True):
        if spec.kind == "standardise":
            mean, scale = float(step.mean_[index]), float(step.scale_[index])
            exported.append({"kind": spec.kind, "mean": mean, "scale": scale})
        elif spec.kind == "clip":
            low, high = float(step.low_[index]), float(step.high_[index])
            exported.append({"kind": spec.kind, "low": low, "high": high})
        else:
            exported.append({"kind": spec.kind})
    return {"type": "number", "name": feature.name, "missing": missing, "steps": exported}


def _plain(category: Any) -> str | int | None:
    return category if category is None or isinstance(category, str) else int(category)


def _estimator(kind: str, fitted: Any) -> dict[str, Any]:
    if kind == "ridge":
        return {
            "kind": kind,
            "intercept": float(fitted.intercept_),
            "coefficients": fitted.coef_.tolist(),
        }
    if kind == "hist-gradient-boosting":
        base = float(fitted._baseline_prediction.item())
        trees = [_hist_tree(stage[0].nodes) for stage in fitted._predictors]
        return {"kind": kind, "combine": "sum", "base": base, "trees": trees}
    if kind == "gradient-boosting":
        rate = float(fitted.learning_rate)
        trees = [_exact_tree(each.tree_, rate) for each in fitted.estimators_[:, 0]]
        base = float(fitted.init_.constant_.item())
        return {"kind": kind, "combine": "sum", "base": base, "trees": trees}
    trees = [_exact_tree(each.tree_, 1.0) for each in fitted.estimators_]
    return {"kind": kind, "combine": "mean", "base": 0.0, "trees": trees}


def _hist_tree(nodes: Any) -> dict[str, Any]:
    """A tree of hist gradient boosting: doubles compared with doubles, no native categories."""
    leaf = nodes["is_leaf"].astype(bool)
    return _tree(
        column=np.where(leaf, _LEAF, nodes["feature_idx"]),
        number=np.where(leaf, nodes["value"], nodes["num_threshold"]),
        left=nodes["left"],
        right=nodes["right"],
        missing_left=nodes["missing_go_to_left"].astype(bool) & ~leaf,
    )


def _exact_tree(tree: Any, rate: float) -> dict[str, Any]:
    """A tree of gradient boosting or of a forest; `rate` is multiplied in as they would."""
    leaf = tree.children_left == _LEAF
    return _tree(
        column=np.where(leaf, _LEAF, tree.feature),
        number=np.where(leaf, rate * tree.value[:, 0, 0], thresholds_for_doubles(tree.threshold)),
        left=tree.children_left,
        right=tree.children_right,
        missing_left=np.zeros(len(leaf), bool),  # missing values were filled in before
    )


def _tree(
    *, column: Any, number: Floats, left: Any, right: Any, missing_left: Any
) -> dict[str, Any]:
    """The tree in preorder, as the plan document wants it."""
    order = list(_preorder(column.tolist(), left.tolist(), right.tolist()))
    place = {node: new for new, node in enumerate(order)}
    numbers = number.tolist()
    tree: dict[str, Any] = {
        "column": [int(column[node]) for node in order],
        # +inf: missing values go one way, every number the other
        "number": [None if numbers[node] == np.inf else numbers[node] for node in order],
        "right": [place[int(right[node])] if column[node] >= 0 else 0 for node in order],
    }
    if missing_left.any():
        tree["missing_left"] = [place[node] for node in order if missing_left[node]]
    return tree


def _preorder(column: Sequence[int], left: Sequence[int], right: Sequence[int]) -> Iterator[int]:
    waiting = [0]
    while waiting:
        node = waiting.pop()
        yield node
        if column[node] >= 0:
            waiting += (right[node], left[node])
