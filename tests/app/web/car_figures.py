"""Figures of the story of the cars: drift that grows with a model's age, clauses, errors."""

from __future__ import annotations

import numpy as np

from domain.events.findings import (
    SIGNIFICANT,
    DriftReport,
    Errors,
    FeatureDrift,
    PredictionDrift,
    psi_band,
)
from domain.events.verdicts import ClauseVerdict, Operator

FEATURES = ("hpwt", "mpd", "mpg", "space", "air", "region")


def drift_report(rows: int, age: int, chance: np.random.Generator) -> DriftReport:
    features = []
    for name in FEATURES:
        psi = float(abs(chance.normal(0.09 + 0.16 * age, 0.07))) + 0.02
        if name in {"air", "region"}:
            psi *= 0.5
        if name == "mpd":
            psi *= 4
        features.append(_feature(name, psi, rows, low_power=rows < 95))
    p = float(min(1.0, 10 ** -(0.2 + age * 0.9 + chance.random())))
    predictions = tuple(
        PredictionDrift(
            against=against,
            ks_statistic=0.2,
            ks_p_value=p,
            mean_shift=0.4,
            mean_shift_p_value=p,
            spread_ratio=1.1,
            spread_p_value=0.3,
            rows=rows,
            reference_rows=rows * 4,
        )
        for against in ("training-target", "out-of-fold")
    )
    psi_max = max(feature.psi for feature in features)
    return DriftReport(
        features=tuple(features),
        predictions=predictions,
        feature_drift_score=max((f.psi for f in features if f.evidence), default=0.0),
        psi_max=psi_max,
        drifted_features=sum(feature.significant for feature in features),
        features_measured=len(features),
        low_power=any(feature.low_power for feature in features),
        test="chi-square",
        too_few="",
    )


def _feature(name: str, psi: float, rows: int, *, low_power: bool) -> FeatureDrift:
    return FeatureDrift(
        feature=name,
        kind="category" if name in {"air", "region"} else "number",
        psi=psi,
        psi_expected=0.09,
        psi_critical=0.17,
        psi_adjusted=max(0.0, psi - 0.09),
        p_value=0.001 if psi > 0.17 else 0.4,
        evidence=psi > 0.17,
        band=psi_band(psi),
        significant=psi > SIGNIFICANT,
        low_power=low_power,
        ks_statistic=0.2,
        ks_p_value=0.01,
        mean_shift=0.3,
        mean_shift_p_value=0.02,
        spread_ratio=1.0,
        spread_p_value=0.9,
        rows=rows,
        missing=0,
        unknown_categories=0,
        bins=("low", "high"),
        reference_counts=(rows * 2, rows * 2),
        current_counts=(rows // 2, rows - rows // 2),
    )


def clause(
    name: str,
    fact: str,
    label: str,
    operator: Operator,
    threshold: float,
    observed: float | None,
    unit: str = "",
    note: str = "",
) -> ClauseVerdict:
    if observed is None:
        verdict, margin = ("met" if note == "never retrained" else "unknown"), None
    else:
        margin = observed - threshold if operator.startswith(">") else threshold - observed
        met = margin > 0 or (margin == 0 and operator.endswith("="))
        verdict = "met" if met else "unmet"
    return ClauseVerdict(
        clause=name,
        fact=fact,
        label=label,
        operator=operator,
        threshold=threshold,
        unit=unit,
        observed=observed,
        verdict=verdict,  # type: ignore[arg-type]
        margin=margin,
        note=note,
    )


def errors_of(rmse: float) -> Errors:
    return Errors(rmse=rmse, rmse_native=rmse * 20, mae_native=rmse * 14)
