"""Our own transformers: elementary operations that let missing values through."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.base import clone

from app.training.transformers import ClipToQuantiles, Log


def test_log_takes_each_logarithm_as_the_plan_will() -> None:
    numbers = np.array([[1.0, 2.5], [math.e, np.nan]])
    logged = Log().fit_transform(numbers)
    assert logged[:, 0].tolist() == [0.0, math.log(math.e)]
    assert logged[0, 1] == math.log(2.5)
    assert np.isnan(logged[1, 1])


@pytest.mark.parametrize("number", [0.0, -3.0])
def test_log_refuses_what_has_none(number: float) -> None:
    with pytest.raises(ValueError, match="has no logarithm; let the contract's possible range"):
        Log().fit_transform(np.array([[number]]))


def test_clip_learns_its_bounds_from_the_training_rows() -> None:
    training = np.array([[float(number)] for number in range(101)] + [[np.nan]])
    clip = ClipToQuantiles(low=0.1, high=0.9).fit(training)
    assert (clip.low_.tolist(), clip.high_.tolist()) == ([10.0], [90.0])
    cut = clip.transform(np.array([[-5.0], [50.0], [1e9], [np.nan]]))
    assert cut[:3, 0].tolist() == [10.0, 50.0, 90.0]
    assert np.isnan(cut[3, 0])


def test_clip_can_be_cloned_as_scikit_learn_wants() -> None:
    assert clone(ClipToQuantiles(low=0.2, high=0.7)).get_params() == {"low": 0.2, "high": 0.7}
