"""What each gate says: parity, evaluation and deployment, every model on the same holdout rows.

The root mean square error on the contract's transformed scale decides; the errors in the target's
own unit, by segment, and what chance alone could have done stand beside it. Decisions compare full
precision, sentences print four digits.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from domain.decisions.prediction_errors import (
    Category,
    Floats,
    Inverse,
    errors,
    paired_bootstrap,
    segment_errors,
)
from domain.errors import PredictionsUnusable
from domain.events.cycle_events import CandidateCompared, CandidateEvaluated, ParityChecked
from domain.events.findings import Bootstrap, Errors

_DIGITS_MAX: Final = 17  # tell any two doubles apart
PARITY_LINEAR: Final = 1e-12  # relative to max(1, |y|): what summing in another order may cost


def check_parity(*, pipeline: Floats, plan: Floats, exact: bool) -> ParityChecked:
    """The parity gate: does the serving plan predict what the trained pipeline predicts?

    Args:
        pipeline: the pipeline's predictions, transformed scale.
        plan: the serving plan's predictions of the same rows.
        exact: trees, which must agree to the bit; linear models may differ by 1e-12 · max(1, |y|).

    The digests are SHA-256 of the predictions as little-endian doubles. Where a prediction is not
    finite the difference has no number, and the largest double stands for it. No rows: not passed.

    Raises:
        ValueError: the two have different numbers of rows.
    """
    _same_rows(pipeline=pipeline, plan=plan)
    rows, allowed = len(pipeline), 0.0 if exact else PARITY_LINEAR
    digests = _digest(pipeline), _digest(plan)
    finite = bool(np.isfinite(pipeline).all() and np.isfinite(plan).all())
    largest = _largest_difference(pipeline, plan) if finite else sys.float_info.max
    agree = digests[0] == digests[1] if exact else largest <= allowed
    if rows == 0:
        says = "no rows to compare, so nothing was shown"
    elif not finite:
        says = "a prediction is not a finite number"
    elif exact and agree:
        says = "plan and pipeline agree to the bit"
    elif exact:
        says = f"plan and pipeline must agree to the bit; they differ by up to {largest:.3g}"
    else:
        says = f"plan and pipeline differ by up to {largest:.3g}; {allowed:g} is allowed"
    return ParityChecked(
        passed=rows > 0 and finite and agree,
        rows=rows,
        largest_difference=largest,
        allowed=allowed,
        pipeline_digest=digests[0],
        plan_digest=digests[1],
        reason=f"{says}, on {_rows(rows)}.",
    )


def evaluate_candidate(
    *,
    predicted: Floats,
    actual: Floats,
    training_target: Floats,
    rows_min: int,
    inverse: Inverse,
) -> CandidateEvaluated:
    """The evaluation gate: does the candidate beat the mean and the median of its training target?

    Args:
        predicted: the candidate's predictions of the holdout rows, transformed scale.
        actual: the true target of those rows, transformed scale.
        training_target: the target it was trained on, transformed scale; at least one row.
        rows_min: holdout rows that the contract asks for.
        inverse: from the transformed scale to the target's unit.

    Strictly better than both by RMSE on the transformed scale, at full precision; a tie is not
    better. With fewer rows than `rows_min` nothing is measured, and the reason begins with "not
    enough rows".

    Raises:
        ValueError: predictions and targets differ in number, or there is no training target.
        PredictionsUnusable: a true target has no value in its unit.
    """
    _same_rows(predicted=predicted, actual=actual)
    rows = len(actual)
    if len(training_target) == 0:
        raise ValueError("the evaluation gate needs the training target; got 0 rows.")
    if rows < max(rows_min, 1):
        reason = (
            f"not enough rows: the holdout has {rows}, the contract asks for at least {rows_min}. "
            "Production stays; wait for labels or widen the drift window."
        )
        return _evaluated(False, rows, rows_min, (None, None, None), reason)
    mean, median = (
        errors(np.full(rows, float(centre)), actual, inverse)
        for centre in (np.mean(training_target), np.median(training_target))
    )
    try:
        candidate = errors(predicted, actual, inverse)
    except PredictionsUnusable as unusable:
        return _evaluated(False, rows, rows_min, (None, mean, median), unusable.message)
    lost_to = [
        f"the {name} ({_digits(candidate.rmse, baseline.rmse)[1]})"
        for name, baseline in (("mean", mean), ("median", median))
        if not candidate.rmse < baseline.rmse
    ]
    ours, best = _digits(candidate.rmse, min(mean.rmse, median.rmse))
    if lost_to:
        reason = f"RMSE {ours} is not below that of {' and '.join(lost_to)} of its training target"
    else:
        reason = f"RMSE {ours} beats mean and median of its training target ({best} at best)"
    figures = (candidate, mean, median)
    return _evaluated(not lost_to, rows, rows_min, figures, f"{reason}, on {_rows(rows)}.")


def compare_with_champion(
    *,
    candidate: Floats,
    champion: Floats | None,
    champion_version: str | None,
    actual: Floats,
    margin: float,
    inverse: Inverse,
    segments: Mapping[str, Sequence[Category]],
    seed: int,
) -> CandidateCompared:
    """The deployment gate: does the candidate beat the champion on the same holdout rows?

    Args:
        candidate: its predictions, transformed scale.
        champion: the champion's predictions, or None when nobody serves yet: then there is nothing
            to beat.
        champion_version: who that is, "car-price/6"; None without one.
        actual: the true target, transformed scale; at least one row.
        margin: by how much, transformed scale, the candidate's RMSE must be lower; 0 or more.
        inverse: from the transformed scale to the target's unit.
        segments: each category feature's values on the holdout rows. Recorded, though they do not
            decide.
        seed: of the bootstrap, recorded with it.

    Passes when the champion's RMSE less the candidate's is more than the margin, at full precision;
    a tie is not better. Whether the bootstrap interval contains 0 is said in the reason and does
    not decide either.

    Raises:
        ValueError: the inputs differ in number of rows, or only one of champion and its version is
            given.
        PredictionsUnusable: no rows, or a prediction without an error.
    """
    _same_rows(candidate=candidate, actual=actual)
    for feature, categories in segments.items():
        _same_rows(**{f"segment {feature!r}": categories}, actual=actual)
    ours = errors(candidate, actual, inverse)
    if champion is None or champion_version is None:
        if (champion is None) != (champion_version is None):
            raise ValueError(f"champion {champion_version!r}: give its predictions and its name.")
        theirs = bootstrap = None
        passed, reason = True, f"no champion yet: RMSE {ours.rmse:.4g} has nothing to beat"
    else:
        _same_rows(champion=champion, actual=actual)
        theirs = errors(champion, actual, inverse)
        bootstrap = paired_bootstrap((champion - actual) ** 2, (candidate - actual) ** 2, seed)
        passed = theirs.rmse - ours.rmse > margin
        reason = _comparison(ours.rmse, theirs.rmse, margin, champion_version, bootstrap)
    return CandidateCompared(
        passed=passed,
        champion_version=champion_version,
        rows=len(actual),
        margin=float(margin),
        candidate=ours,
        champion=theirs,
        segments=segment_errors(segments, candidate, champion, actual),
        bootstrap=bootstrap,
        reason=f"{reason}, on {_rows(len(actual))}.",
    )


def _evaluated(
    passed: bool,
    rows: int,
    rows_min: int,
    figures: tuple[Errors | None, Errors | None, Errors | None],
    reason: str,
) -> CandidateEvaluated:
    candidate, mean, median = figures
    return CandidateEvaluated(
        passed=passed,
        rows=rows,
        rows_min=rows_min,
        candidate=candidate,
        mean_baseline=mean,
        median_baseline=median,
        reason=reason,
    )


def _comparison(ours: float, theirs: float, margin: float, name: str, noise: Bootstrap) -> str:
    better = theirs - ours
    candidate, champion = _digits(ours, theirs)
    if better > margin:
        says = f"RMSE {candidate} beats {name}'s {champion}"
    elif better > 0:
        says = f"RMSE {candidate} beats {name}'s {champion} by {better:.4g}, not by more than the "
        says += f"margin of {margin:.4g}"
    else:
        says = f"RMSE {candidate} is not below {name}'s {champion}"
    interval = (
        f"95 % of the bootstrap's differences lie between {noise.low:.4g} and {noise.high:.4g}"
    )
    return f"{says}; {'within noise' if noise.within_noise else 'beyond noise'}: {interval}"


def _largest_difference(pipeline: Floats, plan: Floats) -> float:
    if len(pipeline) == 0:
        return 0.0
    with np.errstate(over="ignore"):
        apart = np.abs(plan - pipeline) / np.maximum(1.0, np.abs(pipeline))
    return min(float(np.max(apart)), sys.float_info.max)


def _digits(a: float, b: float) -> tuple[str, str]:
    """Both with four significant digits, or as many as it takes to tell them apart."""
    digits = 4
    while a != b and f"{a:.{digits}g}" == f"{b:.{digits}g}" and digits < _DIGITS_MAX:
        digits += 1
    return f"{a:.{digits}g}", f"{b:.{digits}g}"


def _digest(predictions: Floats) -> str:
    return hashlib.sha256(np.ascontiguousarray(predictions, dtype="<f8").tobytes()).hexdigest()


def _rows(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _same_rows(**columns: Sequence[Category] | Floats) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"a gate needs the same rows on every side; got {lengths}.")
