"""The one sentence of a verdict: what a reader learns from each outcome."""

from __future__ import annotations

import operator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.events.verdicts import (
    ClauseVerdict,
    Operator,
    Verdict,
    another_is_judged,
    clause_sentence,
    needs_in_words,
    observed_in_words,
    serves_set_aside,
    told_apart_from_each,
    verdict_sentence,
)


def clause(
    label: str,
    operator: Operator,
    threshold: float,
    observed: float | None,
    verdict: Verdict,
    *,
    unit: str = "",
    note: str = "",
) -> ClauseVerdict:
    return ClauseVerdict(
        clause=label.replace(" ", "_"),
        fact=label.replace(" ", "_"),
        label=label,
        operator=operator,
        threshold=threshold,
        unit=unit,
        observed=observed,
        verdict=verdict,
        margin=None,
        note=note,
    )


DRIFT = clause("feature drift", ">", 0.2, 0.31, "met")
P_VALUE = clause("prediction drift p", "<", 0.05, 0.2, "unmet")
SAMPLES = clause("new samples", ">=", 50.0, 12.0, "unmet", unit="rows")
NEVER = clause("cool-down", ">", 24.0, None, "met", unit="h", note="never retrained")
UNKNOWN = clause("feature drift", ">", 0.2, None, "unknown")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (DRIFT, "feature drift 0.31 (needs > 0.2)"),
        (P_VALUE, "prediction drift p = 0.2 (needs < 0.05)"),
        (SAMPLES, "new samples 12 rows (needs >= 50 rows)"),
        (NEVER, "cool-down never retrained (needs > 24 h)"),
        (UNKNOWN, "feature drift unknown (needs > 0.2)"),
    ],
)
def test_a_clause_says_what_was_seen_and_what_it_needs(one: ClauseVerdict, said: str) -> None:
    assert clause_sentence(one) == said


@pytest.mark.parametrize(
    ("observed", "threshold", "unit", "said"),
    [
        (24.0003, 24.0, "h", "x 24.0003 h (needs > 24 h)"),
        (24.00036, 24.0004, "h", "x 24.00036 h (needs > 24.0004 h)"),
        (0.20000000000000004, 0.2, "", "x 0.20000000000000004 (needs > 0.2)"),
        (9999.6, 10_000.0, "rows", "x 9999.6 rows (needs > 10000 rows)"),
        (24.0, 24.0, "h", "x 24 h (needs > 24 h)"),
    ],
)
def test_a_value_is_never_rounded_onto_its_bound(
    observed: float, threshold: float, unit: str, said: str
) -> None:
    assert clause_sentence(clause("x", ">", threshold, observed, "met", unit=unit)) == said


def test_a_verdict_below_the_bounds_names_the_features_with_evidence() -> None:
    said = verdict_sentence("keep: below the bounds", (P_VALUE,), "", evidence=("hpwt", "mpg"))
    assert said == (
        "KEEP: below the bounds; evidence in hpwt and mpg; prediction drift p = 0.2 (needs < 0.05)"
    )


NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(NUMBERS, NUMBERS | st.none(), st.integers(-3, 3))
@example(9999.6, 1e4, 0)
def test_what_is_printed_stands_to_the_bound_as_what_was_observed(
    threshold: float, other: float | None, steps: int
) -> None:
    observed = threshold * (1 + steps * 1e-15) if other is None else other
    one = replace(DRIFT, observed=observed, threshold=threshold)
    shown, needs = float(observed_in_words(one)), float(needs_in_words(one).split()[1])
    for compare in (operator.lt, operator.eq, operator.gt):
        assert compare(shown, needs) == compare(observed, threshold)


@pytest.mark.parametrize(
    ("outcome", "clauses", "reason", "said"),
    [
        (
            "retrain",
            (DRIFT, NEVER),
            "",
            "RETRAIN: feature drift 0.31 (needs > 0.2) and cool-down never retrained "
            "(needs > 24 h)",
        ),
        (
            "keep: no drift",
            (P_VALUE, NEVER),
            "",
            "KEEP: no drift; prediction drift p = 0.2 (needs < 0.05)",
        ),
        (
            "keep: nothing to judge",
            (UNKNOWN,),
            "",
            "KEEP: nothing to judge, the window is empty",
        ),
        (
            "keep: rules not met",
            (UNKNOWN, P_VALUE, SAMPLES),
            "",
            "KEEP: feature drift unknown (needs > 0.2), prediction drift p = 0.2 (needs < 0.05) "
            "and new samples 12 rows (needs >= 50 rows)",
        ),
        (
            "bootstrap",
            (UNKNOWN,),
            "",
            "BOOTSTRAP: no champion yet, the first candidate is trained",
        ),
        (
            "bootstrap",
            (UNKNOWN,),
            serves_set_aside("car-price/1"),
            "BOOTSTRAP: car-price/1 serves and is not compared, since the cycle that made it was "
            "set aside; a candidate is trained as if it were the first",
        ),
        (
            "override",
            (DRIFT, SAMPLES),
            "the tariff changed",
            "OVERRIDE: the tariff changed; the policy says keep: new samples 12 rows "
            "(needs >= 50 rows)",
        ),
        (
            "override",
            (DRIFT,),
            "the tariff changed",
            "OVERRIDE: the tariff changed; the policy says retrain",
        ),
        (
            "not decided",
            (),
            "the evaluations disagree",
            "NOT DECIDED: the evaluations disagree",
        ),
    ],
)
def test_a_verdict_names_what_held_or_what_blocked_it(
    outcome: str, clauses: tuple[ClauseVerdict, ...], reason: str, said: str
) -> None:
    assert verdict_sentence(outcome, clauses, reason) == said


@given(NUMBERS, st.lists(NUMBERS | st.integers(-3, 3), max_size=3))
def test_a_figure_is_told_from_each_of_its_bounds(value: float, others: list[float]) -> None:
    bounds = [value * (1 + x * 1e-15) if isinstance(x, int) else x for x in others]
    said, *shown = map(float, told_apart_from_each(value, bounds))
    for bound, needs in zip(bounds, shown, strict=True):
        assert (said > needs, said < needs) == (value > bound, value < bound)


def test_whom_a_cycle_judges_beside_who_serves_is_said_with_the_reason() -> None:
    assert another_is_judged("cars/1", "cars/2") == (
        "judged is cars/1, since the cycle that made cars/2, which serves, was set aside"
    )
