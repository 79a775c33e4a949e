"""A feature is called significant only with evidence, whatever its band is named."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from app.audit.drift_words import DRIFT_SYMBOL, DriftWord, drift_word
from domain.events.findings import SIGNIFICANT, FeatureDrift, psi_band
from tests.app.web.car_figures import drift_report


def feature(psi: float, *, evidence: bool) -> FeatureDrift:
    return replace(
        drift_report(100, 0, np.random.default_rng(1)).features[0],
        psi=psi,
        evidence=evidence,
        band=psi_band(psi),
        significant=psi > SIGNIFICANT and evidence,
    )


@pytest.mark.parametrize(
    ("psi", "evidence", "word"),
    [
        (0.05, False, "stable"),
        (0.05, True, "stable"),
        (0.2, False, "minor"),
        (0.2, True, "minor"),
        (0.326, False, "large, no evidence"),
        (0.326, True, "significant"),
    ],
)
def test_significant_is_a_psi_above_its_line_with_evidence(
    psi: float, evidence: bool, word: DriftWord
) -> None:
    assert drift_word(feature(psi, evidence=evidence)) == word


def test_each_word_has_a_symbol_of_its_own_and_none_is_that_of_too_few_rows() -> None:
    assert len(set(DRIFT_SYMBOL.values())) == len(DRIFT_SYMBOL)
    assert "○" not in DRIFT_SYMBOL.values()
