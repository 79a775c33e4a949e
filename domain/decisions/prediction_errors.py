"""How wrong a model is on rows it has not seen: overall, by segment, and against chance.

The error on the contract's transformed scale is the one that decides; the errors in the target's
own unit stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from domain.errors import PredictionsUnusable
from domain.events.findings import Bootstrap, Errors, SegmentErrors
from domain.target_scale import Transform

Floats = NDArray[np.float64]
Inverse = Callable[[float], float]  # from the transformed scale to the target's unit
Category = str | int | float | None

DRAWS: Final = 2_000  # bootstrap resamples
_DRAWN_AT_ONCE: Final = 2**21  # row indices held in memory at a time, 16 MiB


def inverse_of(transform: Transform) -> Inverse:
    """The way back from the transformed scale: `math.exp` for a log target, batch and row alike.

    The exponential of a predicted logarithm is a median, not a mean.
    """
    return math.exp if transform == "log" else float


def errors(predicted: Floats, actual: Floats, inverse: Inverse) -> Errors:
    """One model's errors: RMSE on the transformed scale, RMSE and MAE in the target's unit.

    Raises:
        PredictionsUnusable: no rows, a value that is not finite, or one whose inverse is beyond a
            double.
    """
    if len(actual) == 0:
        raise PredictionsUnusable("0 rows have no error; hold out at least one.")
    try:
        native = np.array([inverse(value) for value in predicted.tolist()])
        truth = np.array([inverse(value) for value in actual.tolist()])
        with np.errstate(over="ignore", invalid="ignore"):
            found = Errors(
                rmse=_rmse(predicted, actual),
                rmse_native=_rmse(native, truth),
                mae_native=float(np.mean(np.abs(native - truth))),
            )
    except OverflowError:
        found = None
    if found is None or not math.isfinite(found.rmse + found.rmse_native + found.mae_native):
        raise PredictionsUnusable(
            f"predictions from {np.min(predicted):.6g} to {np.max(predicted):.6g} of targets from "
            f"{np.min(actual):.6g} to {np.max(actual):.6g} (transformed scale) have no finite "
            "error in the target's unit. Look at the estimator and at the rows it was trained on."
        )
    return found


def paired_bootstrap(champion: Floats, candidate: Floats, seed: int) -> Bootstrap:
    """The 95 % percentile interval of champion RMSE minus candidate RMSE (Efron, 1979).

    Args:
        champion: its squared error of each holdout row; at least one row.
        candidate: its squared error of the same rows. Both are drawn together, 2,000 times.
        seed: of numpy's PCG64; the same seed gives the same interval.
    """
    generator = np.random.default_rng(seed)
    rows = len(champion)
    at_once = max(1, _DRAWN_AT_ONCE // rows)
    differences = np.empty(DRAWS)
    for start in range(0, DRAWS, at_once):
        stop = min(start + at_once, DRAWS)
        drawn = generator.integers(0, rows, size=(stop - start, rows))
        differences[start:stop] = np.sqrt(champion[drawn].mean(axis=1)) - np.sqrt(
            candidate[drawn].mean(axis=1)
        )
    low, high = np.quantile(differences, (0.025, 0.975)).tolist()
    return Bootstrap(low=low, high=high, draws=DRAWS, seed=seed, within_noise=low <= 0 <= high)


def segment_errors(
    segments: Mapping[str, Sequence[Category]],
    candidate: Floats,
    champion: Floats | None,
    actual: Floats,
) -> tuple[SegmentErrors, ...]:
    """Error within each category, features as given, categories in order and missing last."""
    found = []
    for feature, categories in segments.items():
        places: dict[Category, list[int]] = {}
        for row, category in enumerate(categories):
            places.setdefault(category, []).append(row)
        for category in sorted(places, key=_in_order):
            at = places[category]
            found.append(
                SegmentErrors(
                    feature=feature,
                    category="(missing)" if category is None else str(category),
                    rows=len(at),
                    candidate_rmse=_rmse(candidate[at], actual[at]),
                    champion_rmse=None if champion is None else _rmse(champion[at], actual[at]),
                )
            )
    return tuple(found)


def _rmse(predicted: Floats, actual: Floats) -> float:
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))


def _in_order(category: Category) -> tuple[bool, bool, str | int | float]:
    """Numbers, then text, then missing."""
    return category is None, isinstance(category, str), "" if category is None else category
