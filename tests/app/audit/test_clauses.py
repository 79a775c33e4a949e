"""A clause says symbol, word, distance and band, beside the exact values."""

from __future__ import annotations

import pytest

from app.audit.clauses import Clause, clauses_of
from domain.events.verdicts import ClauseVerdict
from tests.app.web.car_figures import clause


def told(recorded: ClauseVerdict) -> Clause:
    return clauses_of([recorded])[0]


def test_an_unmet_clause_says_how_far_it_falls_short() -> None:
    said = told(clause("a", "new_samples", "new samples", ">=", 50.0, 38.0, "rows"))

    assert (said.symbol, said.verdict) == ("✗", "unmet")
    assert (said.shown, said.needs) == ("38 rows", ">= 50 rows")
    assert said.distance == "12 rows short of it"
    assert said.sentence == "new samples 38 rows (needs >= 50 rows)"


def test_a_met_clause_says_how_far_past_the_bound_it_is() -> None:
    said = told(clause("a", "prediction_drift_p", "prediction drift p", "<", 0.05, 0.01))

    assert (said.symbol, said.distance) == ("✓", "0.04 past the bound")
    assert said.sentence == "prediction drift p = 0.01 (needs < 0.05)"


def test_exactly_at_a_strict_bound_is_said_not_to_be_enough() -> None:
    said = told(clause("a", "feature_drift_score", "feature drift", ">", 0.2, 0.2))

    assert said.distance == "exactly at the bound, which is not enough"


def test_an_unknown_clause_has_a_question_mark_and_no_distance() -> None:
    said = told(clause("a", "feature_drift_score", "feature drift", ">", 0.2, None))

    assert (said.symbol, said.shown, said.distance, said.band) == ("?", "unknown", "", "")


def test_a_clause_that_says_little_says_so_beside_what_was_observed() -> None:
    note = "holds on unchanged data in about 2.7 of 10 windows: says little"
    said = told(clause("a", "prediction_drift_p", "prediction drift p", "<", 0.05, 0.01, note=note))

    assert said.shown == f"0.01 ({note})"
    assert said.sentence == "prediction drift p = 0.01 (needs < 0.05)"


def test_a_clause_on_a_retraining_that_never_was_says_so() -> None:
    said = told(
        clause("a", "hours_since_last_retraining", "cool-down", ">", 24.0, None, "h",
               note="never retrained")
    )  # fmt: skip

    assert (said.symbol, said.shown) == ("✓", "never retrained")


@pytest.mark.parametrize(
    ("fact", "observed", "band"),
    [
        ("feature_drift_score", 0.15, "minor"),
        ("psi_max", 0.3, "significant"),
        ("new_samples", 0.15, ""),
        ("a_fact_of_old", 0.15, ""),
    ],
)
def test_a_psi_is_told_with_its_band_and_nothing_else_has_one(
    fact: str, observed: float, band: str
) -> None:
    assert told(clause("a", fact, fact, ">", 0.2, observed)).band == band


def test_the_exact_values_stand_beside_the_words() -> None:
    recorded = clause("a", "new_samples", "new samples", ">=", 50.0, 38.0, "rows")

    said = told(recorded)

    assert (said.observed, said.threshold, said.margin) == (38.0, 50.0, recorded.margin)
