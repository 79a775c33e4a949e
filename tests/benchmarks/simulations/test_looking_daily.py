"""The short form of what is looked at every day: few years, the same every time."""

from __future__ import annotations

import pytest

from benchmarks.simulations import policies
from benchmarks.simulations.evidence import CELLS, FALSE, Cell, bounds, years_of
from benchmarks.simulations.policies import (
    facts_of_a_window,
    policy_names,
    retrains,
    shipped_policy,
)
from benchmarks.simulations.streams import Change
from domain.events.findings import SIGNIFICANT
from rules.facts import FACTS, Facts

SHORT = (
    (Cell("independent", 3), 40),
    (Cell("independent", 20, "error", half=5, most=8), 40),
    (Cell("groups of 5", 20, blocks="group"), 12),
    (Cell("small day effects", 20, blocks="day"), 30),
)


@pytest.mark.parametrize(("cell", "years"), SHORT, ids=lambda each: getattr(each, "name", ""))
def test_evidence_is_seldom_wrong_and_soon_right(cell: Cell, years: int) -> None:
    assert cell in CELLS
    must = bounds(years_of(range(years), cell), cell)
    assert must
    assert [each.sentence for each in must if not each.kept] == []


def test_evidence_takes_alike_rows_for_a_change_unless_it_is_told_of_them() -> None:
    cells = (Cell("groups of 5", 20), Cell("day effects", 20))
    assert [years_of(range(2), cell).false for cell in cells] == [2, 2]


def test_a_change_from_the_start_is_not_found_where_few_residuals_were_frozen() -> None:
    few, many = (
        years_of(range(8), Cell("independent", 20, "error from the start", holdout=holdout))
        for holdout in (20, 1_000)
    )
    assert few.found_in(190) <= 1 < many.found_in(10)


def test_false_alarms_are_bounded_by_the_days_looked_at_over_the_bound() -> None:
    assert f"{FALSE:.4f}" == "0.0685"
    assert all(cell.promised for cell in CELLS if cell.kind == "independent" or cell.blocks)


def test_strict_and_finds_an_input_that_moved() -> None:
    moved = policies.years_of([0], "independent", 20, "input")["strict-and"]
    assert moved.delays[0] > 0


@pytest.mark.parametrize("change", ["none", "input"])
def test_what_is_left_out_of_the_facts_on_quiet_days_changes_no_policys_mind(
    change: Change,
) -> None:
    whole = facts_of_a_window(20, change, cheaply=False)
    cheap = facts_of_a_window(20, change, cheaply=True)
    assert whole.keys() == cheap.keys() <= FACTS.keys()
    others: Facts = {
        "new_samples": 60.0,
        "hours_since_last_retraining": 48.0,
        "residual_evidence": 1.0,
    }
    for name in policy_names():
        policy = shipped_policy(name)
        assert retrains(policy, whole | others) == retrains(policy, cheap | others), name
        for clause in policy.clauses:
            if clause.fact == "feature_drift_score":
                assert (clause.op, clause.threshold >= SIGNIFICANT) == (">", True)
