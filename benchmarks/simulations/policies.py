"""The shipped policies looked at every day: what each retrains on while nothing changes.

A window is the last 30 days, compared with 1,000 frozen rows as the drift step does it. Labels come
at once. A retraining begins the cool-down, the new samples and the evidence anew, and promotes
nobody, so the champion and its reference stay.

Most days are told cheaply: where no input's PSI is above 0.2, no shipped policy looks at what is
predicted, so those p-values are 1 and not computed. That of the error's growth is drawn only where
it decides.
The rule engine, which agrees with the plain evaluation or decides nothing, is not asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from app.intake.documents import parse_document
from benchmarks.simulations.bounds import interval
from benchmarks.simulations.evidence import VERSION, Cell, Years, entries, generator_of, holdout_of
from benchmarks.simulations.program import Line, Program, Task
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
from domain.drift.measurement import measure_drift
from domain.drift.reference import Reference, freeze_reference
from domain.drift.statistics import psi
from domain.events.findings import SIGNIFICANT
from domain.residuals.error_increase import Errors, measure_increase
from domain.residuals.evidence import DETECTORS, Evidence, advance, begun, restaked
from domain.residuals.frozen import Residual
from rules.facts import Facts
from rules.plain import evaluate_plainly, nodes_plainly
from rules.policy import Policy, parse_policy

SHIPPED: Final = Path(__file__).parents[2] / "rules" / "policies"
WINDOW_DAYS: Final = 30
ROWS_A_DAY: Final = (3, 20, 100)
_CHANGES: Final[tuple[Change, ...]] = ("error", "input")
_KINDS: Final[tuple[Kind, ...]] = ("independent", "day effects", "AR(1)")
_NAMES: Final = tuple(f"x{n}" for n in range(INPUTS))


@dataclass(slots=True)
class Watched:
    """One policy in one year."""

    policy: Policy
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
        if retrains(self.policy, self._offered(day, rows, facts)):
            self.retrained.append(day)
            self.last = day
            self.log_wealth = (-math.inf,) * len(DETECTORS)

    def waits_for_p(self, day: int, rows: int, facts: Facts) -> bool:
        """Whether the p-value of the error's growth, which takes long to draw, decides."""
        offered = self._offered(day, rows, facts)
        grew, did_not = (
            retrains(self.policy, offered | {"error_increase_p": p_value}) for p_value in (0.0, 1.0)
        )
        return grew != did_not

    def _offered(self, day: int, rows: int, facts: Facts) -> Facts:
        return facts | {
            "residual_evidence": replace(begun(()), log_wealth=self.log_wealth).days,
            "new_samples": float(rows * (day - self.last)),
            "hours_since_last_retraining": 24.0 * (day - self.last),
        }


def policy_names() -> list[str]:
    """The shipped policies, by name."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def retrains(policy: Policy, facts: Facts) -> bool:
    """Whether the policy says so of a model that was retrained before."""
    return nodes_plainly(policy, evaluate_plainly(policy, facts))[0].verdict == "met"


def years_of(runs: Iterable[int], kind: Kind, rows: int, change: Change) -> dict[str, Years]:
    """Some years of one kind, the same for each policy: policy -> what came of them."""
    shipped = {name: shipped_policy(name) for name in policy_names()}
    found: dict[str, list[list[int]]] = {name: [] for name in shipped}
    for run in runs:
        for name, retrained in _year(run, kind, rows, change, shipped).items():
            found[name].append(retrained)
    return {name: _judged(of, change) for name, of in found.items()}


def facts_of_a_window(rows: int, change: Change, *, cheaply: bool) -> Facts:
    """The facts that a policy is offered at the end of the first window, or on day 60 of a change.

    `cheaply`: without what no shipped policy looks at.
    """
    generator = generator_of(0, "independent", rows, change)
    holdout = _residuals(holdout_of(generator, Cell("independent", rows)))
    reference = _reference(generator, rows * WINDOW_DAYS)
    upto = WINDOW_DAYS if change == "none" else CHANGE_DAY + WINDOW_DAYS
    past = list(islice(days(generator, "independent", rows, change=change), upto))
    return _facts(reference, holdout, past[-WINDOW_DAYS:], cheaply=cheaply)


def lines(runs: int, kind: Kind, rows: int, change: Change) -> list[Line]:
    """The lines of one kind of years: one for each policy."""
    return [
        Line((name, kind, str(rows), change, *_figures(years, change)))
        for name, years in years_of(range(runs), kind, rows, change).items()
    ]


def tasks(runs: int) -> list[Task]:
    """One for each kind of years, shared by the policies."""
    cells: list[tuple[Kind, int, Change]] = [
        *((kind, rows, "none") for rows in ROWS_A_DAY for kind in _KINDS),
        *(("independent", rows, change) for rows in ROWS_A_DAY for change in _CHANGES),
    ]
    return [
        Task(
            f"{kind}, {rows} rows a day, {change}",
            runs * (40 + rows) * (2 if kind == "AR(1)" else 1),
            partial(lines, runs, kind, rows, change),
        )
        for kind, rows, change in cells
    ]


def _figures(years: Years, change: Change) -> tuple[str, str, str, str]:
    if change != "none":
        return str(years.years), "", "", f"{years.days_to(0.5)}, {years.days_to(0.9)}"
    low, high = interval(years.false, years.years)
    share = f"{years.false / years.years:.3f} [{low:.2f}, {high:.2f}]"
    return str(years.years), share, f"{years.retrainings / years.years:.2f}", ""


def _judged(years: list[list[int]], change: Change) -> Years:
    changed = CHANGE_DAY if change != "none" else math.inf
    after = [next((day for day in year if day >= changed), None) for year in years]
    return Years(
        years=len(years),
        false=sum(any(day < changed for day in year) for year in years),
        delays=tuple(0 if day is None else day - CHANGE_DAY + 1 for day in after),
        retrainings=sum(day < changed for year in years for day in year),
    )


def _year(
    run: int, kind: Kind, rows: int, change: Change, shipped: Mapping[str, Policy]
) -> dict[str, list[int]]:
    """Policy -> the days on which it retrained. With a change it is looked at from its day on."""
    generator = generator_of(run, kind, rows, change)
    state = holdout_of(generator, Cell(kind, rows))
    holdout = _residuals(state)
    reference = _reference(generator, rows * WINDOW_DAYS)
    watched = {name: Watched(policy) for name, policy in shipped.items()}
    past: list[Rows] = []
    for day, each in enumerate(days(generator, kind, rows, change=change)):
        new = entries(each.residuals, f"{day}/", 1, None)
        # ln R_k begun anew each day: what this day alone won
        state = advance(restaked(state), new, model_version=VERSION, days=1.0)
        past = [*past[1 - WINDOW_DAYS :], each]
        for policy in watched.values():
            policy.gains(state.log_wealth)
        if len(past) < WINDOW_DAYS or (change != "none" and day < CHANGE_DAY):
            continue
        facts = _facts(reference, holdout, past, cheaply=True)
        # after a change, only the first retraining counts
        looking = [each for each in watched.values() if change == "none" or not each.retrained]
        if any(policy.waits_for_p(day, rows, facts) for policy in looking):
            facts["error_increase_p"] = _increase_p(holdout, past, f"{run}-{day}")
        for policy in looking:
            policy.day(day, rows, facts)
        if change != "none" and all(policy.retrained for policy in watched.values()):
            break
    return {name: policy.retrained for name, policy in watched.items()}


def _facts(
    reference: Reference, holdout: list[Residual], past: list[Rows], *, cheaply: bool
) -> Facts:
    """All but the p-value of the error's growth, which is 1."""
    inputs = np.concatenate([each.inputs for each in past])
    predicted = np.concatenate([each.predicted for each in past])
    residuals = np.concatenate([each.residuals for each in past])
    columns = dict(zip(_NAMES, inputs.T.tolist(), strict=True))
    largest = max(
        psi(feature.counts, feature.count(columns[feature.name]).counts).value
        for feature in reference.features
    )
    facts: Facts = {"window_rows": float(len(predicted)), "psi_max": largest}
    if cheaply and largest <= SIGNIFICANT:
        facts |= dict.fromkeys(("feature_drift_score", "drifted_feature_share"), 0.0)
        facts |= dict.fromkeys(("prediction_drift_p", "prediction_drift_p_out_of_fold"), 1.0)
    else:
        report = measure_drift(reference, columns, predicted)
        p_values = {found.against: found.ks_p_value for found in report.predictions}
        facts |= {
            "feature_drift_score": report.feature_drift_score,
            "drifted_feature_share": report.drifted_features / report.features_measured,
            "prediction_drift_p": p_values["training-target"],
            "prediction_drift_p_out_of_fold": p_values["out-of-fold"],
        }
    before = np.mean(np.square([row.residual for row in holdout]))
    ratio = math.sqrt(np.mean(np.square(residuals)) / before)
    return facts | {"error_ratio": ratio, "error_increase_p": 1.0}


def _increase_p(holdout: list[Residual], past: list[Rows], cycle: str) -> float | None:
    residuals = np.concatenate([each.residuals for each in past]).tolist()
    window = [Residual(f"{n}", f"{n}", "", r) for n, r in enumerate(residuals)]
    found = measure_increase(
        Errors.of(window), Errors.of(holdout), reference_sha256="", cycle=cycle
    )
    return found.error_increase_p


def _residuals(frozen: Evidence) -> list[Residual]:
    return [Residual(f"{n}", f"{n}", "", r) for n, r in enumerate(frozen.signed.tolist())]


def _reference(generator: np.random.Generator, window_rows: int) -> Reference:
    rows = rows_of(generator.normal(size=(REFERENCE_ROWS, INPUTS + 1)))
    return freeze_reference(
        [(name, "number") for name in _NAMES],
        dict(zip(_NAMES, rows.inputs.T.tolist(), strict=True)),
        rows.target,
        rows.predicted,
        window_rows,
    )


def shipped_policy(name: str) -> Policy:
    """The shipped policy of this name."""
    path = SHIPPED / f"{name}.yaml"
    return parse_policy(parse_document(path.read_bytes(), name=path.name))


PROGRAM: Final = Program(
    title="The shipped policies, looked at every day",
    head=(
        *("policy", "rows", "rows a day", "change", "years"),
        *("years with a false retraining", "false retrainings a year", "delay: median, 90 %"),
    ),
    runs=40,
    short_runs=1,
    tasks=tasks,
)
