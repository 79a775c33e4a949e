"""The short form of the simulation of intervals over groups: few draws, the same every time."""

from __future__ import annotations

from benchmarks.simulations.group_intervals import (
    LEAST,
    LEAST_BY_ZIPF,
    PROGRAM,
    bounds,
    by_zipf,
    coverage,
)

DRAWS = 500


def test_the_interval_covers_the_truth_about_as_often_as_it_says_from_three_groups_on() -> None:
    covered = [
        coverage([str(n) for n in range(count) for _ in range(5)], alike, worse, DRAWS)
        for count, alike, worse in ((3, 0.8, 1.0), (6, 0.5, 1.038), (20, 0.8, 1.038))
    ]
    zipf = coverage(by_zipf(10), 0.5, 1.0, DRAWS)
    must = (
        *bounds("coverage", covered, DRAWS, LEAST),
        *bounds("coverage", [zipf], DRAWS, LEAST_BY_ZIPF),
    )
    assert [each.sentence for each in must if not each.kept] == []


def test_groups_whose_sizes_fall_by_zipf_have_five_rows_on_average() -> None:
    groups = by_zipf(10)
    assert len(set(groups)) == 10
    assert 45 <= len(groups) <= 55
    assert groups.count("0") > 2 * groups.count("2")


def test_the_long_form_draws_three_thousand_holdouts_from_three_groups_on() -> None:
    tasks = PROGRAM.tasks(PROGRAM.runs)
    assert PROGRAM.runs == 3_000
    assert tasks[0].name == "3 groups"
