"""Drift of one window against the frozen reference: every figure with what it would be without
drift.

Never one number alone: PSI stands beside its expectation, its critical value and its p-value, and
"no drift" is never said by a window too small to say so. How, and why so: docs/decisions/0004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from domain.drift.bins import (
    CategoryReference,
    Counted,
    FeatureReference,
    NumberReference,
    Numbers,
    numbers_of,
)
from domain.drift.blocks import Bins, Dependent
from domain.drift.dependence import bins_of, exchange
from domain.drift.levels import EXPECTED_MIN, level_p_value, pool
from domain.drift.power import ROWS_MIN, low_power, pooled_bins
from domain.drift.reference import Reference, column_of
from domain.drift.statistics import (
    Floats,
    KolmogorovSmirnov,
    Psi,
    Shift,
    benjamini_hochberg,
    ks,
    psi,
    shift,
)
from domain.errors import NotMeasurable
from domain.events.findings import (
    SIGNIFICANT,
    DriftReport,
    FeatureDrift,
    PredictionDrift,
    psi_band,
)
from domain.packed import Value, Whole, pack

EXPECTATION_ROWS_MIN: Final = 50  # below it the formula is about twice too high


def measure_drift(
    reference: Reference,
    columns: Mapping[str, Sequence[Value]],
    predictions: Floats,
    *,
    first: bool = False,
    blocks: Sequence[str] | Whole = (),
    seed: str = "",
) -> DriftReport:
    """Everything measured in one window of a model's predictions.

    Args:
        reference: frozen from the model's training rows.
        columns: each feature's values in the window, one a row, None where missing. One is asked
            for at a time, once, and forgotten before the next. Others are ignored.
        predictions: the model's predictions of those rows, on the transformed scale.
        first: by the first form of the rule `outcomes`: power by the emptiest bin, and what PSI
            would be without drift also where its formula does not hold.
        blocks: the block of each row, or its number, where the reference says that blocks of rows
            depend.
        seed: begins the draws of such blocks.

    `feature_drift_score` is the largest PSI among features with evidence, 0 when none has. Evidence
    is Benjamini-Hochberg at 5 % over the p-values of all features: chi-square of PSI for numbers,
    `level_p_value` for categories (chi-square again where the reference is of format 1). Where the
    reference says that rows depend on each other, the window's are in order of event time, and each
    p comes of exchanging blocks or runs instead. Target and prediction are no features.

    Raises:
        NotMeasurable: the window is empty, lacks a feature's column, holds a value that is no
            finite number, or a row without a block.
    """
    rows = len(predictions)
    if rows == 0:
        raise NotMeasurable("the window has 0 rows; drift needs at least 1. Nothing to judge.")
    window = [
        _measured(feature, column_of(columns, feature.name, rows), reference, first=first)
        for feature in reference.features
    ]
    dependent = None
    if reference.dependence is not None:
        placed = [each.placed for each in window]
        dependent = exchange(reference.dependence, placed, blocks, seed=seed)
    p_values = [each.p_value for each in window] if dependent is None else dependent.p_values
    features = tuple(
        _feature_drift(each, p_value, proven, dependent, first=first)
        for each, p_value, proven in zip(
            window, p_values, benjamini_hochberg(p_values), strict=True
        )
    )
    current = numbers_of("the window's predictions", predictions)
    return DriftReport(
        features=features,
        predictions=(
            _prediction_drift("training-target", reference.target, current),
            _prediction_drift("out-of-fold", reference.out_of_fold, current),
        ),
        feature_drift_score=max((f.psi for f in features if f.evidence), default=0.0),
        psi_max=max((f.psi for f in features), default=0.0),
        drifted_features=sum(f.significant for f in features),
        features_measured=len(features),
        low_power=rows < ROWS_MIN or any(f.low_power for f in features),
        test=reference.dependence.kind if reference.dependence else "chi-square",
        too_few=dependent.low_power if dependent else "",
    )


def training_drift(reference: Reference) -> KolmogorovSmirnov:
    """The training target against the model's own out-of-fold predictions of the same rows.

    Predictions are narrower than targets. Where this p is below 0.05, the model looks drifted
    against its training target on the very data it was trained on, and whoever judges by that fact
    should know.
    """
    return ks(reference.target.ordered, reference.out_of_fold.ordered)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Measured:
    """What one feature's column came to; the column itself is forgotten, but for its bins."""

    feature: FeatureReference
    counts: tuple[int, ...]
    missing: int
    unknown: int
    index: Psi
    p_value: float  # of independent rows
    weak: bool  # too few rows to say that the feature did not drift
    distance: KolmogorovSmirnov | None
    moved: Shift | None
    placed: Bins  # the bin of each row; empty where rows are independent


def _measured(
    feature: FeatureReference, column: Sequence[Value], reference: Reference, *, first: bool
) -> _Measured:
    packed = pack(column)
    counted = feature.count(packed)
    index = psi(feature.counts, counted.counts)
    distance = moved = None
    if isinstance(feature, NumberReference) and counted.numbers is not None:
        if len(counted.numbers.ordered) and len(feature.numbers.ordered):
            distance = ks(feature.numbers.ordered, counted.numbers.ordered)
        moved = shift(feature.numbers.moments, counted.numbers.moments)
    return _Measured(
        feature=feature,
        counts=counted.counts,
        missing=counted.missing,
        unknown=counted.unknown,
        index=index,
        p_value=_p_value(feature, counted, index),
        weak=(_first_low_power(feature, len(column)) if first else _low_power(feature, counted)),
        distance=distance,
        moved=moved,
        placed=bins_of(feature, packed) if reference.dependence else np.empty(0, np.int64),
    )


def _p_value(feature: FeatureReference, counted: Counted, index: Psi) -> float:
    if isinstance(feature, CategoryReference) and feature.pooled_counts is not None:
        return level_p_value(feature.levels_of(counted, missing=True))
    return index.p_value


def _feature_drift(
    found: _Measured, p_value: float, evidence: bool, dependent: Dependent | None, *, first: bool
) -> FeatureDrift:
    index, distance, moved = found.index, found.distance, found.moved
    rows = sum(found.counts)
    # The formula is of independent rows, and of enough of them.
    told = dependent is None and (first or rows >= EXPECTATION_ROWS_MIN)
    return FeatureDrift(
        feature=found.feature.name,
        kind=found.feature.kind,
        psi=index.value,
        psi_expected=index.expected if told else None,
        psi_critical=index.critical if told else None,
        psi_adjusted=max(0.0, index.value - index.expected) if told else None,
        p_value=p_value,
        evidence=evidence,
        band=psi_band(index.value),
        significant=index.value > SIGNIFICANT and evidence,
        # Where independent rows would be too few, dependent ones are all the more.
        low_power=found.weak or (dependent is not None and dependent.low_power != ""),
        ks_statistic=distance.statistic if distance else None,
        ks_p_value=distance.p_value if distance else None,
        mean_shift=moved.mean if moved else None,
        mean_shift_p_value=moved.mean_p_value if moved else None,
        spread_ratio=moved.spread_ratio if moved else None,
        spread_p_value=moved.spread_p_value if moved else None,
        rows=rows,
        missing=found.missing,
        unknown_categories=found.unknown,
        bins=found.feature.bins,
        reference_counts=found.feature.counts,
        current_counts=found.counts,
    )


def _low_power(feature: FeatureReference, counted: Counted) -> bool:
    n, m = sum(counted.counts), sum(feature.counts)
    if isinstance(feature, CategoryReference):
        levels = feature.levels_of(counted, missing=False)
        seen = sum(level.reference > 0 for level in levels)
        return low_power(len(pool(levels, m, n).cells), seen, n, m)
    rows = feature.counts[: feature.value_bins]
    return low_power(pooled_bins(rows, n, m), sum(row > 0 for row in rows), n, m)


def _first_low_power(feature: FeatureReference, rows: int) -> bool:
    """Whether `rows` are too few to say that the feature did not drift, by the emptiest bin.

    Looks at the bins in which the reference has values: an expected count below 5 in one of them.
    The bins for missing and new are no such bins: that they stay empty is what no drift looks like.
    A category whose levels were all pooled has no bins left to tell apart.
    """
    if rows < ROWS_MIN:
        return True
    if isinstance(feature, CategoryReference) and not feature.levels and len(feature.pooled) > 1:
        return True
    counts = np.array(feature.counts[: feature.value_bins])
    expected = counts[counts > 0] * rows / sum(feature.counts)
    return bool((expected < EXPECTED_MIN).any())


def _prediction_drift(
    against: Literal["training-target", "out-of-fold"], reference: Numbers, current: Numbers
) -> PredictionDrift:
    distance = ks(reference.ordered, current.ordered)
    moved = shift(reference.moments, current.moments)
    return PredictionDrift(
        against=against,
        ks_statistic=distance.statistic,
        ks_p_value=distance.p_value,
        mean_shift=moved.mean,
        mean_shift_p_value=moved.mean_p_value,
        spread_ratio=moved.spread_ratio,
        spread_p_value=moved.spread_p_value,
        rows=len(current.ordered),
        reference_rows=len(reference.ordered),
    )
