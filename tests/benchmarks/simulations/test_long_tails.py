"""The short form of the simulation of long tails: few cells, few windows, the same every time."""

from __future__ import annotations

from benchmarks.simulations.long_tails import LAWS, REFERENCE_ROWS, WINDOW_ROWS, run


def test_long_tails_without_drift_are_evidence_in_few_windows_and_a_new_level_is() -> None:
    cells = run(50, laws=[(1.0, 300)], reference_rows=[200, 1_000], window_rows=[100, 1_000])
    assert len(cells) == 4
    assert sum(cell.false_evidence for cell in cells) / 4 <= 0.08
    assert max(cell.false_drift for cell in cells) <= 0.04
    assert max(cell.mean_psi for cell in cells) <= 0.15
    assert min(cell.new_level_found for cell in cells if cell.window_rows == 1_000) == 1
    assert all(0.2 <= cell.new_level_found for cell in cells)


def test_the_long_form_has_thirty_six_cells() -> None:
    assert len(LAWS) * len(REFERENCE_ROWS) * len(WINDOW_ROWS) == 36
