"""What was measured, as events remember it: drift, errors, segments, window checks.

Plain values without the code that computes them, so that the service can read events without scipy.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Struct

from domain.units import noted

Band = Literal["stable", "minor", "significant"]
MINOR: Final = 0.1  # PSI from which a shift is minor, inclusive
SIGNIFICANT: Final = 0.2  # PSI above which it is significant, exclusive
LEVEL: Final = 0.05  # probability of a false alarm that every test here accepts
MEAN_SHIFT_MARKED: Final = 0.5  # of labels, in training standard deviations, inclusive
SPREAD_RATIO_MARKED: Final = 1.5  # of labels, or one divided by it, inclusive
OUTSIDE_SHARE_MARKED: Final = 0.05  # of labels outside the trained range, exclusive
Gate = Literal["parity", "evaluation", "deployment"]


def psi_band(psi: float) -> Band:
    """Where a PSI lies: minor holds both of its bounds.

    >>> psi_band(0.099), psi_band(0.1), psi_band(0.2), psi_band(0.201)
    ('stable', 'minor', 'minor', 'significant')
    """
    if psi < MINOR:
        return "stable"
    return "minor" if psi <= SIGNIFICANT else "significant"


class FeatureDrift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One feature of the window against the frozen reference: never one number alone."""

    feature: Annotated[str, noted("name", "the feature")]
    kind: Annotated[Literal["number", "category"], noted("name", "how it was binned")]
    psi: Annotated[
        float, noted("PSI, nats", "population stability index, half a count in each bin")
    ]
    psi_expected: Annotated[
        float | None,
        noted(
            "PSI, nats",
            "expectation under no drift, (B-1)(1/n+1/m); null below 50 rows "
            "and where rows depend on each other",
        ),
    ]
    psi_critical: Annotated[
        float | None, noted("PSI, nats", "5 % critical value under no drift; null as psi_expected")
    ]
    psi_adjusted: Annotated[
        float | None, noted("PSI, nats", "max(0, psi - psi_expected); null as psi_expected")
    ]
    p_value: Annotated[
        float, noted("probability", "of a difference at least like this one without drift")
    ]
    evidence: Annotated[bool, noted("flag", "Benjamini-Hochberg at 5 % over all features holds")]
    band: Annotated[
        Band,
        noted("name", f"stable < {MINOR} <= minor <= {SIGNIFICANT} < significant, by psi alone"),
    ]
    significant: Annotated[bool, noted("flag", f"psi > {SIGNIFICANT} and evidence")]
    low_power: Annotated[bool, noted("flag", "too few rows to say no drift")]
    ks_statistic: Annotated[float | None, noted("distance 0..1", "KS D; null for categories")]
    ks_p_value: Annotated[float | None, noted("probability", "KS p, as scipy; null for categories")]
    mean_shift: Annotated[float | None, noted("reference sd", "current minus reference mean")]
    mean_shift_p_value: Annotated[float | None, noted("probability", "Welch's t-test")]
    spread_ratio: Annotated[float | None, noted("ratio", "current sd / reference sd")]
    spread_p_value: Annotated[float | None, noted("probability", "Brown-Forsythe test")]
    rows: Annotated[int, noted("rows", "rows of the window")]
    missing: Annotated[int, noted("rows", "rows of the window without a value")]
    unknown_categories: Annotated[int, noted("rows", "rows with a category the reference lacks")]
    bins: Annotated[tuple[str, ...], noted("labels", "the bins, in order")]
    reference_counts: Annotated[tuple[int, ...], noted("rows", "reference rows per bin")]
    current_counts: Annotated[tuple[int, ...], noted("rows", "window rows per bin")]


class PredictionDrift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The champion's predictions in the window against one distribution, transformed scale."""

    against: Annotated[
        Literal["training-target", "out-of-fold"], noted("name", "what it was compared with")
    ]
    ks_statistic: Annotated[float, noted("distance 0..1", "KS D")]
    ks_p_value: Annotated[float, noted("probability", "KS p, as scipy")]
    mean_shift: Annotated[float | None, noted("reference sd", "current minus reference mean")]
    mean_shift_p_value: Annotated[float | None, noted("probability", "Welch's t-test")]
    spread_ratio: Annotated[float | None, noted("ratio", "current sd / reference sd")]
    spread_p_value: Annotated[float | None, noted("probability", "Brown-Forsythe test")]
    rows: Annotated[int, noted("rows", "predictions in the window")]
    reference_rows: Annotated[int, noted("rows", "rows of the reference")]


class DriftReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Everything the drift step measured in one window."""

    features: tuple[FeatureDrift, ...]
    predictions: tuple[PredictionDrift, ...]
    feature_drift_score: Annotated[
        float, noted("PSI, nats", "largest psi among features with evidence, 0 when none has")
    ]
    psi_max: Annotated[float, noted("PSI, nats", "largest psi of all features")]
    drifted_features: Annotated[int, noted("features", "features that are significant")]
    features_measured: Annotated[int, noted("features", "the denominator; inputs only")]
    low_power: Annotated[bool, noted("flag", "some feature has too few rows to say no drift")]
    test: Annotated[
        Literal["chi-square", "day", "group", "serial"],
        noted(
            "name", "what p_value is from: rows taken one by one, or exchanged as blocks or runs"
        ),
    ]
    too_few: Annotated[
        str, noted("words", "why blocks or runs are too few to say no drift; empty: they are not")
    ]


class Errors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One model's error on the holdout rows."""

    rmse: Annotated[float, noted("transformed target", "root mean square error; this one decides")]
    rmse_native: Annotated[float, noted("target's unit", "root mean square error")]
    mae_native: Annotated[float, noted("target's unit", "mean absolute error")]


class SegmentErrors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Error within one category of one feature: recorded, though it does not decide."""

    feature: Annotated[str, noted("name", "the category feature")]
    category: Annotated[str, noted("name", "its category, as text")]
    rows: Annotated[int, noted("rows", "holdout rows in the segment")]
    candidate_rmse: Annotated[float, noted("transformed target", "the candidate's")]
    champion_rmse: Annotated[float | None, noted("transformed target", "null without a champion")]


class Bootstrap(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A paired bootstrap of champion minus candidate RMSE over the holdout rows."""

    low: Annotated[float, noted("transformed target", "2.5 % bound")]
    high: Annotated[float, noted("transformed target", "97.5 % bound")]
    draws: Annotated[int, noted("draws", "resamples")]
    seed: Annotated[int, noted("seed", "of the resampling")]
    within_noise: Annotated[bool, noted("flag", "the interval contains 0")]


class GroupInterval(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """An estimate with its 95 % interval over groups: delete-one-group jackknife, Student's t."""

    estimate: Annotated[float, noted("as estimated", "over all rows")]
    low: Annotated[float, noted("as estimated", "2.5 % bound")]
    high: Annotated[float, noted("as estimated", "97.5 % bound")]
    confidence: Annotated[float, noted("probability", "that it is above 0, by Student's t")]
    groups: Annotated[int, noted("groups", "that were left out in turn; 3 or more")]


class LabelShift(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The window's labels against the target that the champion was trained on, on its scale."""

    rows: Annotated[int, noted("rows", "labels in the window")]
    reference_rows: Annotated[int, noted("rows", "training labels")]
    ks_statistic: Annotated[float, noted("distance 0..1", "KS D")]
    ks_p_value: Annotated[float, noted("probability", "KS p, as scipy")]
    mean_shift: Annotated[float | None, noted("reference sd", "window minus training mean")]
    spread_ratio: Annotated[float | None, noted("ratio", "window sd / training sd")]
    outside_share: Annotated[float, noted("share 0..1", "of the labels outside the trained range")]
    marked: Annotated[bool, noted("flag", "p < 0.05 and the shift is large: see semantics.md")]


class WindowCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One bound of the statistical guard against the window."""

    subject: Annotated[str, noted("name", "the feature, or 'rows' for the refused share")]
    statistic: Annotated[
        Literal["mean", "missing_share", "refused_share", "unlisted_share"],
        noted("name", "what was computed"),
    ]
    observed: Annotated[
        float | None, noted("as the feature; shares 0..1", "null: nothing to judge")
    ]
    low: Annotated[float | None, noted("as observed", "smallest plausible value")]
    high: Annotated[float | None, noted("as observed", "largest plausible value")]
    passed: Annotated[bool, noted("flag", "within the bounds")]
