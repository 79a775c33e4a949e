"""The short form of the simulation of dependent rows: few windows, the same every time."""

from __future__ import annotations

from benchmarks.simulations.dependent_rows import STREAMS, run


def test_rows_that_follow_each_other_are_drift_to_chi_square_and_seldom_to_runs() -> None:
    [cell] = run(20, [("serial", 0.8, 100)])
    assert cell.drift_by_chi_square >= 0.8
    assert cell.drift_by_blocks <= 0.2  # 0.045 in the long form; 5 of 20 come once in 200 times
    assert cell.moved_found >= 0.3


def test_days_that_differ_are_drift_to_chi_square_and_seldom_to_days() -> None:
    [cell] = run(10, [("day", 0.64, 200)])
    assert cell.drift_by_chi_square >= 0.8
    assert cell.drift_by_blocks <= 0.2  # 0.065 in the long form
    assert cell.moved_found >= 0.4


def test_the_long_form_has_eight_streams() -> None:
    assert len(STREAMS) == 8
