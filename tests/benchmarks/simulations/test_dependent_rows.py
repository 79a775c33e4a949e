"""The short form of the simulation of dependent rows: few windows, the same every time."""

from __future__ import annotations

import pytest

from benchmarks.simulations.bounds import share_bound
from benchmarks.simulations.dependent_rows import PROGRAM, Stream, bounds, cell


@pytest.mark.parametrize(
    ("stream", "windows"), [(("serial", 0.8, 100), 30), (("day", 0.64, 100), 10)]
)
def test_dependent_rows_are_drift_to_chi_square_and_seldom_to_what_the_contract_says(
    stream: Stream, windows: int
) -> None:
    found = cell(windows, stream)
    assert [each.sentence for each in bounds(found, windows) if not each.kept] == []
    by_chi_square = found.drift_by_chi_square
    told = share_bound("drift by chi-square", by_chi_square, windows, "at least", 0.87)
    assert told.kept, told.sentence


def test_the_long_form_has_eight_streams_of_four_hundred_windows() -> None:
    assert (len(PROGRAM.tasks(1)), PROGRAM.runs) == (8, 400)
