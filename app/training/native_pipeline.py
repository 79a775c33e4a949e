"""The fitted pipeline as a data scientist gets it: a table as pandas reads it in, native units out.

MLflow keeps this one, and a copy of its code beside it: it imports nothing else of ours.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin

Kind = Literal["number", "integer", "text"]


class NativePipeline(RegressorMixin, BaseEstimator):
    """What the service answers, from a table that holds the contract's features.

    Args:
        pipeline: fitted, from features to the transformed scale.
        features: name and kind of each feature, in the contract's order.
        transform: "log" or "none", of the target.
    """

    def __init__(self, pipeline: Any, features: list[tuple[str, Kind]], transform: str) -> None:
        self.pipeline = pipeline
        self.features = features
        self.transform = transform

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """The predictions in the target's unit, shape (rows,); further columns are not looked at.

        A missing value may be NaN, None or NA, and a feature that may be missing may have no
        column. Whole numbers may be doubles, as pandas reads a column in which one is missing.
        """
        columns = {
            name: _as_trained(X[name].tolist() if name in X else [None] * len(X), kind)
            for name, kind in self.features
        }
        transformed: NDArray[np.float64] = self.pipeline.predict(pd.DataFrame(columns))
        if self.transform != "log":
            return transformed
        # math.exp as the service does: numpy's differs between machines
        return np.array([math.exp(value) for value in transformed.tolist()], np.float64)


def _as_trained(values: list[Any], kind: Kind) -> pd.Series[Any]:
    known = [None if pd.isna(value) else value for value in values]
    if kind == "number":
        return pd.Series(known, dtype=np.float64)
    return pd.Series([_category(value, kind) for value in known], dtype=object)


def _category(value: Any, kind: Kind) -> int | str | None:
    if value is None:
        return None
    if kind == "integer":
        return int(value)
    whole = (
        isinstance(value, int | float) and float(value).is_integer()
    )  # "3" in a CSV is read as 3
    return str(int(value)) if whole else str(value)
