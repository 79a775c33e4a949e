"""What a policy's verdict means for a cycle, by the clauses that speak of drift."""

from __future__ import annotations

from domain.decisions.cycle import Cycle
from domain.events.cycle_events import Outcome
from domain.events.findings import DriftReport
from domain.events.verdicts import PolicyVerdict, Verdict
from rules.facts import FACTS


def outcome_of(
    verdict: PolicyVerdict,
    *,
    champion: str | None,
    forced: bool,
    window_rows: int,
    report: DriftReport | None,
    first: bool = False,
) -> Outcome:
    """What the policy's verdict means for this cycle (`docs/semantics.md`).

    `first` is the first form of the rule `outcomes`, which had no `keep: below the bounds`.
    """
    if champion is None:
        return "bootstrap"
    if forced:
        return "override"
    if verdict.retrain:
        return "retrain"
    if window_rows == 0:
        return "keep: nothing to judge"
    if _about_drift(verdict) != {"unmet"} or report is None:
        return "keep: rules not met"
    if with_evidence(report) and not first:
        return "keep: below the bounds"
    return "keep: rules not met" if report.low_power else "keep: no drift"


def with_evidence(report: DriftReport) -> tuple[str, ...]:
    """The features that moved beyond chance, however little, in the report's order."""
    return tuple(feature.feature for feature in report.features if feature.evidence)


def drift_unanswered(cycle: Cycle) -> bool:
    """Whether every drift clause of the policy was met and no candidate was promoted on it."""
    if cycle.decided is None or (cycle.settled is not None and cycle.settled.promoted):
        return False
    return _about_drift(cycle.decided.verdict) == {"met"}


def _about_drift(verdict: PolicyVerdict) -> set[Verdict]:
    """What the clauses on drift came to; empty when the policy has none.

    A fact that no policy may name any more is about nothing.
    """
    return {
        clause.verdict
        for clause in verdict.clauses
        if clause.fact in FACTS and FACTS[clause.fact].about_drift
    }
