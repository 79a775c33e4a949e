"""The custom transformers a contract may ask for, as scikit-learn transformers.

Each does one elementary operation on doubles, which the serving plan repeats to the bit. Missing
values (NaN) pass through both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


class Log(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """The natural logarithm of positive numbers, `math.log`: numpy's differs between machines."""

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn nothing; shape (rows, features)."""
        validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The logarithms, shape (rows, features).

        Raises:
            ValueError: a number is 0 or below.
        """
        check_is_fitted(self, "n_features_in_")
        numbers = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        refused = numbers[numbers <= 0]
        if refused.size:
            raise ValueError(
                f"{float(refused[0])!r} has no logarithm; let the contract's possible range begin "
                "above 0"
            )
        flat = [math.log(number) for number in numbers.ravel().tolist()]
        return np.array(flat).reshape(numbers.shape)


class ListedOneHot(TransformerMixin, BaseEstimator):
    """One 0/1 column for each category that is listed and stands in the training rows.

    Any other category is none of them, in training as in serving: all its columns are 0. A missing
    value (None or NaN) has a column of its own when the training rows have one.

    Args:
        listed: the categories of each feature, as the contract lists them.
    """

    def __init__(self, listed: Sequence[Sequence[str | int]] = ()) -> None:
        self.listed = listed

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn `categories_`, for each feature sorted, None at the end."""
        columns = _present(X)
        self.categories_ = [
            np.array(
                [*sorted(set(column) & set(listed)), *([None] if None in column else [])], object
            )
            for column, listed in zip(columns, self.listed, strict=True)
        ]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The columns, those of the first feature first; shape (rows, categories)."""
        check_is_fitted(self, "categories_")
        columns = _present(X)
        encoded = [
            [float(value == category) for value in column]
            for column, categories in zip(columns, self.categories_, strict=True)
            for category in categories.tolist()
        ]
        rows = len(columns[0]) if columns else 0
        columns_first = np.array(encoded, np.float64).reshape(len(encoded), rows)
        return np.ascontiguousarray(columns_first.T)  # another layout adds up to other last bits


def _present(X: ArrayLike) -> list[list[Any]]:
    """Each feature's values, NaN as None."""
    values = np.asarray(X, object)
    return [
        [None if isinstance(v, float) and math.isnan(v) else v for v in column]
        for column in values.T.tolist()
    ]


class ClipToQuantiles(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Cuts each feature at two quantiles of the training rows (numpy's linear interpolation)."""

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        self.low = low
        self.high = high

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn `low_` and `high_`, each of shape (features,), in the features' units.

        Each feature needs one known value at least.
        """
        numbers = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan")
        known = [column[~np.isnan(column)] for column in numbers.T]
        self.low_ = np.array([np.quantile(column, self.low) for column in known])
        self.high_ = np.array([np.quantile(column, self.high) for column in known])
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """The numbers, cut; shape (rows, features)."""
        check_is_fitted(self)
        numbers = validate_data(
            self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"
        )
        cut: NDArray[np.float64] = np.clip(numbers, self.low_, self.high_)
        return cut
