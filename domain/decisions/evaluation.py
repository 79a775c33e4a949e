"""What evaluation and deployment gate say, every model on the same holdout rows.

The root mean square error on the contract's transformed scale decides; the errors in the target's
own unit, by segment, and what chance alone could have done stand beside it. Decisions compare full
precision, sentences print four digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from domain.decisions.group_interval import INTERVAL_GROUPS_MIN, rmse_difference_interval
from domain.decisions.prediction_errors import (
    Category,
    Floats,
    Inverse,
    errors,
    paired_bootstrap,
    segment_errors,
)
from domain.errors import PredictionsUnusable
from domain.events.cycle_events import CandidateCompared, CandidateEvaluated
from domain.events.findings import Errors, GroupInterval
from domain.events.verdicts import serves_set_aside, told_apart, told_apart_from_each


def evaluate_candidate(
    *,
    predicted: Floats,
    actual: Floats,
    training_target: Floats,
    rows_min: int,
    inverse: Inverse,
    nothing_fits: str = "",
) -> CandidateEvaluated:
    """The evaluation gate: does the candidate beat the mean and the median of its training target?

    Args:
        predicted: the candidate's predictions of the holdout rows, transformed scale.
        actual: the true target of those rows, transformed scale.
        training_target: the target it was trained on, transformed scale; at least one row.
        rows_min: holdout rows that the contract asks for.
        inverse: from the transformed scale to the target's unit.
        nothing_fits: why no group could be held out, with the remedy; empty when one was.

    Strictly better than both by RMSE on the transformed scale, at full precision; a tie is not
    better. With fewer rows than `rows_min` nothing is measured, and the reason is `nothing_fits` or
    begins with "not enough rows".

    Raises:
        ValueError: predictions and targets differ in number, or there is no training target.
        PredictionsUnusable: a true target has no value in its unit.
    """
    _same_rows(predicted=predicted, actual=actual)
    rows = len(actual)
    if len(training_target) == 0:
        raise ValueError("the evaluation gate needs the training target; got 0 rows.")
    if rows < max(rows_min, 1):
        reason = nothing_fits or (
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
    ours, *said = told_apart_from_each(candidate.rmse, (mean.rmse, median.rmse))
    best = said[0] if mean.rmse < median.rmse else said[1]
    lost_to = [
        f"the {name} ({shown})"
        for name, shown, baseline in zip(("mean", "median"), said, (mean, median), strict=True)
        if not candidate.rmse < baseline.rmse
    ]
    if lost_to:
        reason = f"RMSE {ours} is not below that of {' and '.join(lost_to)} of its training target"
    else:
        reason = f"RMSE {ours} beats mean and median of its training target ({best} at best)"
    figures = (candidate, mean, median)
    return _evaluated(not lost_to, rows, rows_min, figures, f"{reason}, on {_rows(rows)}.")


def compare_with_champion(  # noqa: PLR0913 each is an input of its own
    *,
    candidate: Floats,
    champion: tuple[str, Floats] | None,
    serves: str | None,
    actual: Floats,
    margin: float,
    inverse: Inverse,
    segments: Mapping[str, Sequence[Category]],
    groups: Sequence[str],
    confidence_min: float | None,
) -> CandidateCompared:
    """The deployment gate: does the candidate beat the champion on the same holdout rows?

    Args:
        candidate: its predictions, transformed scale.
        champion: who that is ("car-price/6") and its predictions, or None when no cycle that
            counts has made one: then there is nothing to beat.
        serves: who answers; where it is not the champion, one that a cycle set aside has made, or
            nobody.
        actual: the true target, transformed scale; at least one row.
        margin: by how much, transformed scale, the candidate's RMSE must be lower; 0 or more.
        inverse: from the transformed scale to the target's unit.
        segments: each category feature's values on the holdout rows. Recorded, though they do not
            decide.
        groups: the group of each row, which the interval leaves out in turn.
        confidence_min: probability (0.5..0.999) that the candidate is better that the contract asks
            for; None: it asks for none.

    Passes when the champion's RMSE less the candidate's is more than the margin, at full precision
    (a tie is not better), and the confidence is at least `confidence_min`. Whether the interval
    contains 0 is said in the reason and does not decide. Fewer than 3 groups have no interval, and
    no confidence that a contract could ask for.

    Raises:
        ValueError: the inputs differ in number of rows.
        PredictionsUnusable: no rows, or a prediction without an error.
    """
    _same_rows(candidate=candidate, actual=actual, groups=groups)
    for feature, categories in segments.items():
        _same_rows(**{f"segment {feature!r}": categories}, actual=actual)
    ours = errors(candidate, actual, inverse)
    name, defended = champion or (None, None)
    if name is None or defended is None:
        theirs = interval = None
        nobody = serves_set_aside(serves) if serves else "no champion yet"
        passed, reason = True, f"{nobody}: RMSE {ours.rmse:.4g} has nothing to beat"
    else:
        _same_rows(champion=defended, actual=actual)
        theirs = errors(defended, actual, inverse)
        interval = rmse_difference_interval(defended - actual, candidate - actual, groups)
        passed = theirs.rmse - ours.rmse > margin
        reason = f"{serves_set_aside(serves)}: " if serves not in (None, name) else ""
        reason += _comparison(ours.rmse, theirs.rmse, margin, name)
        reason += _over_groups(interval, len(set(groups)))
        if confidence_min is not None:
            confidence = interval.confidence if interval else None
            sure = confidence is not None and confidence >= confidence_min
            if passed or not sure:
                reason += _confidence(confidence, confidence_min)
            passed = passed and sure
    return CandidateCompared(
        passed=passed,
        champion_version=name,
        rows=len(actual),
        margin=float(margin),
        candidate=ours,
        champion=theirs,
        segments=segment_errors(segments, candidate, defended, actual),
        bootstrap=None,
        interval=interval,
        confidence_min=confidence_min,
        refit=False,  # asked for by the contract, which the caller knows
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


def with_bootstrap(
    compared: CandidateCompared,
    *,
    candidate: Floats,
    champion: Floats | None,
    actual: Floats,
    seed: int,
) -> CandidateCompared:
    """The first form of rule `interval`: a paired bootstrap of the rows instead of the interval.

    Args:
        compared: as `compare_with_champion` has it, of the same predictions.
        candidate, champion, actual: as there.
        seed: of the bootstrap, recorded with it.
    """
    if champion is None or compared.champion is None or compared.champion_version is None:
        return replace(compared, interval=None)
    noise = paired_bootstrap((champion - actual) ** 2, (candidate - actual) ** 2, seed)
    said = _comparison(
        compared.candidate.rmse, compared.champion.rmse, compared.margin, compared.champion_version
    )
    return replace(
        compared,
        interval=None,
        bootstrap=noise,
        reason=f"{said}; {'within noise' if noise.within_noise else 'beyond noise'}: 95 % of the "
        f"bootstrap's differences lie between {noise.low:.4g} and {noise.high:.4g}, on "
        f"{_rows(compared.rows)}.",
    )


def _comparison(ours: float, theirs: float, margin: float, name: str) -> str:
    better = theirs - ours
    candidate, champion = told_apart(ours, theirs)
    if better > margin:
        says = f"RMSE {candidate} beats {name}'s {champion}"
    elif better > 0:
        by, needed = told_apart(better, margin)
        says = f"RMSE {candidate} beats {name}'s {champion} by {by}, not by more than the "
        says += f"margin of {needed}"
    else:
        says = f"RMSE {candidate} is not below {name}'s {champion}"
    return says


def _over_groups(interval: GroupInterval | None, groups: int) -> str:
    if interval is None:
        return f"; not enough groups for an interval: {groups}, it takes {INTERVAL_GROUPS_MIN}"
    noise = "within noise" if interval.low <= 0 <= interval.high else "beyond noise"
    return (
        f"; {noise}: the 95 % interval over {interval.groups} groups is {interval.low:.4g} to "
        f"{interval.high:.4g}"
    )


def _confidence(confidence: float | None, least: float) -> str:
    if confidence is None:
        return (
            f"; the contract asks for a confidence of at least {least:.15g}, which so few groups "
            "cannot give: wait for rows of more groups"
        )
    observed, bound = told_apart(confidence, least)
    if confidence >= least:
        return f"; confidence {observed}, the contract asks for at least {bound}"
    return (
        f"; confidence {observed} is below the {bound} that the contract asks for: production "
        "stays, wait for more rows"
    )


def _rows(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _same_rows(**columns: Sequence[Category] | Floats) -> None:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"a gate needs the same rows on every side; got {lengths}.")
