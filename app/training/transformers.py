"""The custom transformers a contract may ask for, as scikit-learn transformers.

Each does one elementary operation on doubles, which the serving plan repeats to the bit. Missing
values (NaN) pass through both.
"""

from __future__ import annotations

import math
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
