"""The shipped policies looked at every day: what each retrains on while nothing changes.

A window is the last 30 days, compared with 1,000 frozen rows as the drift step does it. Labels come
at once. A retraining begins the cool-down, the new samples and the evidence anew, and promotes
nobody, so the champion and its reference stay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from app.intake.documents import parse_document
from benchmarks.simulations.evidence import Years, entered, generator_of, holdout_of
from benchmarks.simulations.streams import (
    CHANGE_DAY,
    INPUTS,
    REFERENCE_ROWS,
    Change,
    Kind,
    Rows,
    days,
    rows_of,
)
from domain.canonical import digest
from domain.drift.measurement import measure_drift
from domain.drift.reference import Reference, freeze_reference
from domain.residuals.error_increase import measure_increase
from domain.residuals.evidence import DETECTORS, Evidence, restaked
from domain.residuals.frozen import Residual
from rules.engine import PolicyEngine
from rules.facts import FACTS, Facts
from rules.policy import parse_policy

SHIPPED: Final = Path(__file__).parents[2] / "rules" / "policies"
WINDOW_DAYS: Final = 30
_GROWN: Final = 1.1  # an error that grew less is no increase, so its p is not drawn: it is 1
_NAMES: Final = tuple(f"x{n}" for n in range(INPUTS))


@dataclass(slots=True)
class Watched:
    """One policy in one year."""

    engine: PolicyEngine
    log_wealth: tuple[float, ...] = (-math.inf,) * len(DETECTORS)
    last: int = -WINDOW_DAYS  # day of the last retraining
    retrained: list[int] = field(default_factory=list)

    def gains(self, gained: tuple[float, ...]) -> None:
        """One more day: a stake, and what each bet won on it."""
        self.log_wealth = tuple(
            float(np.logaddexp(log, 0.0)) + gain
            for log, gain in zip(self.log_wealth, gained, strict=True)
        )

    def day(self, day: int, rows: int, facts: Facts) -> None:
        """Look at one day, and retrain when the policy says so."""
        evidence = Evidence((), (), self.log_wealth)
        offered = facts | {
            "residual_evidence": evidence.days,
            "new_samples": float(rows * (day - self.last)),
            "hours_since_last_retraining": 24.0 * (day - self.last),
        }
        if self.engine.evaluate(offered, never_retrained=False).retrain:
            self.retrained.append(day)
            self.last = day
            self.log_wealth = restaked(evidence).log_wealth


def policy_names() -> list[str]:
    """The shipped policies, by name."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def years_of(runs: Iterable[int], kind: Kind, rows: int, change: Change) -> dict[str, Years]:
    """Some years of one kind, the same for each policy: policy -> what came of them."""
    found: dict[str, list[list[int]]] = {name: [] for name in policy_names()}
    for run in runs:
        for name, retrained in _year(run, kind, rows, change).items():
            found[name].append(retrained)
    return {name: _judged(of, change) for name, of in found.items()}


def facts_of_a_clean_window(*, rows: int) -> Facts:
    """The facts that a policy is offered at the end of the first window."""
    generator = generator_of(0, "independent", rows, "none")
    state = holdout_of(generator)
    reference = _reference(generator, rows * WINDOW_DAYS)
    holdout = [Residual(str(n), str(n), "", r) for n, r in enumerate(state.signed)]
    past = list(islice(days(generator, "independent", rows), WINDOW_DAYS))
    return _facts(reference, holdout, past, "0-0")


def _judged(years: list[list[int]], change: Change) -> Years:
    changed = CHANGE_DAY if change != "none" else math.inf
    after = [next((day for day in year if day >= changed), None) for year in years]
    return Years(
        years=len(years),
        false=sum(any(day < changed for day in year) for year in years),
        delays=tuple(0 if day is None else day - CHANGE_DAY + 1 for day in after),
        retrainings=sum(day < changed for year in years for day in year),
    )


def _year(run: int, kind: Kind, rows: int, change: Change) -> dict[str, list[int]]:
    """Policy -> the days on which it retrained. With a change it is looked at from its day on."""
    generator = generator_of(run, kind, rows, change)
    state = holdout_of(generator)
    holdout = [Residual(str(n), str(n), "", r) for n, r in enumerate(state.signed)]
    reference = _reference(generator, rows * WINDOW_DAYS)
    watched = {name: Watched(_engine(name)) for name in policy_names()}
    past: list[Rows] = []
    try:
        for day, each in enumerate(days(generator, kind, rows, change=change)):
            state = entered(restaked(state), day, each)  # ln R_k: what this day alone won
            past = [*past[1 - WINDOW_DAYS :], each]
            if len(past) < WINDOW_DAYS or (change != "none" and day < CHANGE_DAY):
                for policy in watched.values():
                    policy.gains(state.log_wealth)
                continue
            facts = _facts(reference, holdout, past, f"{run}-{day}")
            for policy in watched.values():
                policy.gains(state.log_wealth)
                policy.day(day, rows, facts)
            if change != "none" and all(policy.retrained for policy in watched.values()):
                break
    finally:
        for policy in watched.values():
            policy.engine.close()
    return {name: policy.retrained for name, policy in watched.items()}


def _facts(reference: Reference, holdout: list[Residual], past: list[Rows], cycle: str) -> Facts:
    inputs = np.concatenate([each.inputs for each in past])
    predicted = np.concatenate([each.predicted for each in past])
    residuals = np.concatenate([each.residuals for each in past]).tolist()
    report = measure_drift(reference, dict(zip(_NAMES, inputs.T.tolist(), strict=True)), predicted)
    p_values = {found.against: found.ks_p_value for found in report.predictions}
    ratio = math.sqrt(np.mean(np.square(residuals)) / np.mean([row.residual**2 for row in holdout]))
    p_value: float | None = 1.0
    if ratio > _GROWN:
        window = [Residual(str(n), str(n), "", r) for n, r in enumerate(residuals)]
        p_value = measure_increase(
            window, holdout, reference_sha256="", cycle=cycle
        ).error_increase_p
    facts: Facts = {
        "feature_drift_score": report.feature_drift_score,
        "psi_max": report.psi_max,
        "drifted_feature_share": report.drifted_features / report.features_measured,
        "prediction_drift_p": p_values["training-target"],
        "prediction_drift_p_out_of_fold": p_values["out-of-fold"],
        "window_rows": float(len(predicted)),
        "error_ratio": ratio,
        "error_increase_p": p_value,
    }
    return {name: value for name, value in facts.items() if name in FACTS}


def _reference(generator: np.random.Generator, window_rows: int) -> Reference:
    rows = rows_of(generator.normal(size=(REFERENCE_ROWS, INPUTS + 1)))
    return freeze_reference(
        [(name, "number") for name in _NAMES],
        dict(zip(_NAMES, rows.inputs.T.tolist(), strict=True)),
        rows.target,
        rows.predicted,
        window_rows,
    )


def _engine(name: str) -> PolicyEngine:
    path = SHIPPED / f"{name}.yaml"
    document = parse_document(path.read_bytes(), name=path.name)
    return PolicyEngine(parse_policy(document), digest(document))
