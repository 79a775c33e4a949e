"""Which outcome a verdict means, and when drift found no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs
from scipy import special

from domain.decisions.cycle import RETRAINING, Cycle, fold
from domain.drift.measurement import measure_drift
from domain.drift.reference import freeze_reference
from domain.events.cycle_events import Outcome
from domain.events.findings import DriftReport
from domain.events.verdicts import NodeVerdict, Verdict, joined, verdict_sentence
from domain.packed import Value
from rules.facts import FACTS
from rules.outcome import drift_unanswered, outcome_of, with_evidence
from tests.domain.events.sample_events import SETTLED, decided, policy_verdict

QUIET = DriftReport(
    features=(),
    predictions=(),
    feature_drift_score=0.0,
    psi_max=0.05,
    drifted_features=0,
    features_measured=6,
    low_power=False,
    test="chi-square",
    too_few="",
)


ROWS = 5_000


def report_of(trained: list[Value], window: list[Value], kind: str) -> DriftReport:
    """The drift of one feature, `size`, between two columns of as many rows."""
    target = np.linspace(0, 1, len(trained))
    reference = freeze_reference(
        [("size", kind)],  # type: ignore[list-item]
        {"size": trained},
        target,
        target,
        len(window),
    )
    return measure_drift(reference, {"size": window}, target)


def normal(mean: float = 0.0, sd: float = 1.0) -> list[Value]:
    """Normal quantiles with this mean and deviation, as even as a sample can be."""
    even = (np.arange(ROWS) + 0.5) / ROWS
    return (special.ndtri(even) * sd + mean).tolist()  # type: ignore[no-any-return]


def makers(share: float) -> list[Value]:
    """Two levels, the first with this share."""
    first = round(share * ROWS)
    return [*["US"] * first, *["JP"] * (ROWS - first)]


def outcome(
    *,
    features: Verdict = "unmet",
    predictions: Verdict = "unmet",
    samples: Verdict = "met",
    champion: str | None = "car-price/1",
    forced: bool = False,
    rows: int = 99,
    report: DriftReport | None = QUIET,
) -> Outcome:
    return outcome_of(
        policy_verdict(
            feature_drift_score=features, prediction_drift_p=predictions, new_samples=samples
        ),
        champion=champion,
        forced=forced,
        window_rows=rows,
        report=report,
    )


def outcome_first(report: DriftReport) -> Outcome:
    """By the first form of the rule, as cycles begun under it are told."""
    return outcome_of(
        policy_verdict(feature_drift_score="unmet"),
        champion="car-price/1",
        forced=False,
        window_rows=99,
        report=report,
        first=True,
    )


def test_all_clauses_met_means_retrain() -> None:
    assert outcome(features="met", predictions="met") == "retrain"


def test_neither_drift_clause_met_with_enough_power_means_no_drift() -> None:
    assert outcome() == "keep: no drift"


def test_low_power_is_never_no_drift() -> None:
    assert outcome(report=structs.replace(QUIET, low_power=True)) == "keep: rules not met"


@pytest.mark.parametrize(
    ("trained", "window", "kind", "psi"),
    [
        pytest.param(normal(), normal(sd=np.sqrt(2)), "number", 0.148, id="variance doubled"),
        pytest.param(normal(), normal(mean=0.4), "number", 0.177, id="mean +0.4 sd"),
        pytest.param(makers(0.5), makers(0.7), "category", 0.169, id="category 50 to 70 %"),
    ],
)
def test_a_change_too_small_for_the_clauses_is_below_the_bounds_and_never_no_drift(
    trained: list[Value], window: list[Value], kind: str, psi: float
) -> None:
    report = report_of(trained, window, kind)
    assert report.psi_max == pytest.approx(psi, abs=0.025)
    assert outcome(report=report) == "keep: below the bounds"
    assert outcome_first(report) == "keep: no drift"
    said = verdict_sentence(
        "keep: below the bounds",
        policy_verdict(psi_max="unmet").clauses,
        evidence=with_evidence(report),
    )
    assert said == "KEEP: below the bounds; evidence in size; psi_max 0.1 (needs > 0.2)"


def test_two_big_levels_that_swap_are_evidence_below_the_bounds() -> None:
    def swapped(a: float, b: float) -> list[Value]:
        tail: list[Value] = [f"level {n % 60}" for n in range(round(0.3 * ROWS))]
        return [*["a"] * round(a * ROWS), *["b"] * round(b * ROWS), *tail]

    report = report_of(swapped(0.4, 0.3), swapped(0.3, 0.4), "category")
    assert report.psi_max == pytest.approx(0.058, abs=0.005)
    assert outcome(report=report) == "keep: below the bounds"


def test_evidence_with_a_drift_clause_met_or_unknown_means_rules_not_met() -> None:
    report = report_of(makers(0.5), makers(0.7), "category")
    assert outcome(report=report, predictions="met") == "keep: rules not met"
    assert outcome(report=report, predictions="unknown") == "keep: rules not met"


def test_evidence_outweighs_low_power_of_another_feature() -> None:
    report = structs.replace(report_of(makers(0.5), makers(0.7), "category"), low_power=True)
    assert outcome(report=report) == "keep: below the bounds"


def test_one_drift_clause_met_means_rules_not_met() -> None:
    assert outcome(predictions="met") == "keep: rules not met"


def test_an_unknown_drift_clause_is_never_no_drift() -> None:
    assert outcome(features="unknown") == "keep: rules not met"


def test_an_empty_window_means_nothing_to_judge() -> None:
    empty = outcome(features="unknown", predictions="unknown", rows=0, report=None)
    assert empty == "keep: nothing to judge"


def test_without_a_champion_the_outcome_is_bootstrap_even_when_forced() -> None:
    assert outcome(champion=None, forced=True, rows=0, report=None) == "bootstrap"


def test_a_forced_cycle_is_an_override_whatever_the_policy_says() -> None:
    assert outcome(forced=True) == "override"
    assert "override" in RETRAINING


@pytest.mark.parametrize(
    ("features", "predictions", "unanswered"),
    [("met", "met", True), ("met", "unmet", False), ("unknown", "met", False)],
)
def test_drift_is_unanswered_when_every_drift_clause_was_met_and_nobody_new_serves(
    features: Verdict, predictions: Verdict, unanswered: bool
) -> None:
    verdict = policy_verdict(
        feature_drift_score=features, prediction_drift_p=predictions, new_samples="unmet"
    )
    cycle = fold([structs.replace(decided("keep: rules not met"), verdict=verdict)])
    assert drift_unanswered(cycle) is unanswered
    assert not drift_unanswered(replace(cycle, settled=SETTLED)), "the promotion answers it"
    assert (
        drift_unanswered(replace(cycle, settled=structs.replace(SETTLED, promoted=False)))
        is unanswered
    )


def test_a_policy_without_drift_clauses_and_no_cycle_leave_no_drift_unanswered() -> None:
    asked = structs.replace(decided("retrain"), verdict=policy_verdict(new_samples="met"))
    assert not drift_unanswered(fold([asked]))
    assert not drift_unanswered(Cycle())


@pytest.mark.parametrize(
    ("features", "error", "unanswered"),
    [("met", "unmet", True), ("unmet", "met", True), ("unmet", "unknown", False)],
)
def test_any_branch_that_speaks_of_drift_and_holds_is_drift_unanswered(
    features: Verdict, error: Verdict, unanswered: bool
) -> None:
    flat = policy_verdict(feature_drift_score=features, error_ratio=error, new_samples="unmet")
    either = NodeVerdict(
        node="when.2",
        operator="any",
        of=("feature_drift_score", "error_ratio"),
        verdict=joined("any", [features, error]),
    )
    root = NodeVerdict(node="when", operator="all", of=("new_samples", "when.2"), verdict="unmet")
    verdict = structs.replace(flat, nodes=(root, either))
    kept = structs.replace(decided("keep: rules not met"), verdict=verdict)
    assert drift_unanswered(fold([kept])) is unanswered


def test_a_fact_no_policy_may_name_any_more_says_nothing_of_drift() -> None:
    retired = policy_verdict(new_samples="met", a_retired_fact="met")
    assert not drift_unanswered(fold([structs.replace(decided("retrain"), verdict=retired)]))


@pytest.mark.parametrize("fact", [name for name, spec in FACTS.items() if spec.about_drift])
def test_every_fact_about_drift_can_say_that_there_is_none(fact: str) -> None:
    unmet: dict[str, Verdict] = {fact: "unmet"}
    said = outcome_of(
        policy_verdict(**unmet),
        champion="car-price/1",
        forced=False,
        window_rows=99,
        report=QUIET,
    )
    assert said == "keep: no drift"


def test_counts_and_hours_are_not_about_drift() -> None:
    others = {name for name, spec in FACTS.items() if not spec.about_drift}
    assert others == {"new_samples", "window_rows", "hours_since_last_retraining"}
