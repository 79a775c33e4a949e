"""The short form of the simulation of long tails: few cells, few windows, the same every time."""

from __future__ import annotations

from benchmarks.simulations.bounds import share_bound
from benchmarks.simulations.long_tails import PROGRAM, bounds, cell
from domain.drift.statistics import LEVEL

WINDOWS = 50


def test_long_tails_without_drift_are_evidence_in_few_windows_and_a_new_level_is() -> None:
    cells = [
        cell(WINDOWS, (1.0, 300), reference, window)
        for reference in (200, 1_000)
        for window in (100, 1_000)
    ]
    for found in cells:
        assert [each.sentence for each in bounds(found, WINDOWS) if not each.kept] == []
    false = sum(found.false_evidence for found in cells) / len(cells)
    together = share_bound("false evidence", false, WINDOWS * len(cells), "at most", LEVEL)
    assert together.kept, together.sentence
    assert max(found.mean_psi for found in cells) <= 0.15


def test_the_long_form_has_thirty_six_cells_of_two_thousand_windows() -> None:
    assert (len(PROGRAM.tasks(1)), PROGRAM.runs) == (36, 2_000)
