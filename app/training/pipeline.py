"""The scikit-learn pipeline a contract asks for, and the frame of features it reads.

Missing numbers: hist gradient boosting takes them as they are; for the others the training median
is filled in and a 0/1 column tells that it was. Categories are learnt from the training rows; a
category never seen is all zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from app.training.native_pipeline import Kind
from app.training.transformers import ClipToQuantiles, Log
from domain.contract.contract import (
    CategoryFeature,
    Contract,
    EstimatorSpec,
    FeatureSpec,
    NumberFeature,
)
from domain.errors import TrainingFailed
from domain.events.events import Row

Floats = NDArray[np.float64]

COLUMNS: Final = "columns"  # the pipeline's step from rows to columns
ESTIMATOR: Final = "estimator"  # and from columns to the target
MISSING: Final = " missing"  # ends the name of a 0/1 column that tells a missing value


def build_pipeline(contract: Contract) -> Pipeline:
    """The pipeline of `contract`, not fitted; its columns come in the order of the features."""
    return Pipeline(
        [
            (COLUMNS, ColumnTransformer(_column_steps(contract))),
            (ESTIMATOR, build_estimator(contract.estimator)),
        ]
    )


def build_estimator(spec: EstimatorSpec) -> Any:
    """The scikit-learn estimator of a contract's `estimator`, single-threaded and seeded."""
    match spec.kind:
        case "ridge":
            return Ridge(alpha=spec.alpha, random_state=spec.seed)
        case "hist-gradient-boosting":
            return HistGradientBoostingRegressor(
                max_iter=spec.iterations,
                learning_rate=spec.learning_rate,
                min_samples_leaf=spec.rows_per_leaf_min,
                max_leaf_nodes=spec.leaves_max,
                max_depth=spec.depth_max,
                l2_regularization=spec.l2,
                early_stopping=False,  # by default it starts, silently, above 10,000 rows
                random_state=spec.seed,
            )
        case "gradient-boosting":
            return GradientBoostingRegressor(
                n_estimators=spec.iterations,
                learning_rate=spec.learning_rate,
                min_samples_leaf=spec.rows_per_leaf_min,
                max_depth=spec.depth_max,
                subsample=spec.rows_share,
                random_state=spec.seed,
            )
        case "random-forest":
            return RandomForestRegressor(
                n_estimators=spec.trees,
                min_samples_leaf=spec.rows_per_leaf_min,
                max_depth=spec.depth_max,
                max_features=spec.features_share,
                n_jobs=1,  # two threads add the trees in another order: another last bit
                random_state=spec.seed,
            )


def takes_missing_values(contract: Contract) -> bool:
    """Whether the estimator itself sends missing numbers left or right."""
    return contract.estimator.kind == "hist-gradient-boosting"


def feature_frame(contract: Contract, rows: Sequence[Row]) -> pd.DataFrame:
    """The features of `rows`, one column each: numbers as float64 (missing: NaN), else objects."""
    columns = {}
    for feature in contract.features:
        values = [row.get(feature.name) for row in rows]
        if isinstance(feature, NumberFeature):
            columns[feature.name] = pd.Series(values, dtype=np.float64)
        else:
            columns[feature.name] = pd.Series(values, dtype=object)
    return pd.DataFrame(columns)


def kinds_of(contract: Contract) -> list[tuple[str, Kind]]:
    """Each feature's name, and how its values are typed in a table, in the contract's order."""
    return [(feature.name, _kind(feature)) for feature in contract.features]


def _kind(feature: FeatureSpec) -> Kind:
    if isinstance(feature, NumberFeature):
        return "number"
    return "text" if isinstance(feature.categories[0], str) else "integer"


def transformed_target(contract: Contract, rows: Sequence[Row]) -> Floats:
    """The labels of `rows` on the transformed scale, shape (rows,).

    Raises:
        TrainingFailed: a row has no label, or one without a logarithm when the target takes it.
    """
    name = contract.target.name
    labels: list[float] = []
    for number, row in enumerate(rows):
        label = row.get(name)
        if isinstance(label, str) or label is None or not math.isfinite(label):
            raise TrainingFailed(
                f"training row {number} has {name!r} = {label!r}, which is no label; "
                "train on labelled rows only."
            )
        if contract.target.transform == "none":
            labels.append(float(label))
        elif label > 0:
            labels.append(math.log(label))
        else:
            raise TrainingFailed(
                f"training row {number} has {name!r} = {label!r}, which has no logarithm; correct "
                "the label, or let the contract's target take no transform."
            )
    return np.array(labels, np.float64)


def _column_steps(contract: Contract) -> list[tuple[str, Any, list[str]]]:
    """One entry for each run of features that are treated alike."""
    native = takes_missing_values(contract)

    def treatment(feature: FeatureSpec) -> tuple[object, ...]:
        if isinstance(feature, CategoryFeature):
            return ("category",)
        if feature.missing == "allowed" and not native:
            return ("fill", feature.name)  # on its own, so that its 0/1 column follows it
        return ("number", feature.transformers)

    entries: list[tuple[str, Any, list[str]]] = []
    for kind, run in groupby(contract.features, treatment):
        features = list(run)
        names = [feature.name for feature in features]
        first = features[0]
        if isinstance(first, CategoryFeature):
            one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
            entries.append((names[0], one_hot, names))
            continue
        steps = [_transformer(each) for each in first.transformers]
        if kind[0] == "fill":
            filled = SimpleImputer(strategy="median")
            entries.append((names[0], make_pipeline(filled, *steps), names))
            entries.append((names[0] + MISSING, MissingIndicator(features="all"), names))
        else:
            entries.append((names[0], make_pipeline(*steps) if steps else "passthrough", names))
    return entries


def _transformer(spec: Any) -> Any:
    match spec.kind:
        case "standardise":
            return StandardScaler()
        case "log":
            return Log()
        case _:
            return ClipToQuantiles(low=spec.low, high=spec.high)
