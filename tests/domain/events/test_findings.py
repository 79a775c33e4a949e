"""What a measured number is called."""

from __future__ import annotations

import pytest

from domain.events.findings import psi_band


@pytest.mark.parametrize(
    ("psi", "says"),
    [(0.0, "stable"), (0.0999, "stable"), (0.1, "minor"), (0.2, "minor"), (0.20001, "significant")],
)
def test_the_bands_are_minor_at_both_of_their_bounds(psi: float, says: str) -> None:
    assert psi_band(psi) == says
