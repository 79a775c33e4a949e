"""What a feature's drift is called, the same wherever it is shown.

A band is where a PSI lies, and says nothing of chance: a feature is called significant only when
there is evidence, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from domain.events.findings import SIGNIFICANT, FeatureDrift

DriftWord = Literal["stable", "minor", "large, no evidence", "significant"]
# None of them is a circle that is hollow: so the charts draw a point that has too few rows.
DRIFT_SYMBOL: Final[Mapping[DriftWord, str]] = {
    "stable": "≈",
    "minor": "◐",
    "large, no evidence": "?",
    "significant": "●",
}


def drift_word(drift: FeatureDrift) -> DriftWord:
    """'significant' only with evidence; without it a PSI above 0.2 is 'large, no evidence'."""
    if drift.significant:
        return "significant"
    if drift.psi > SIGNIFICANT:
        return "large, no evidence"
    return "stable" if drift.band == "stable" else "minor"
