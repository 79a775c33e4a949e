"""Frozen residuals are read as they were written, and nothing else is read."""

from __future__ import annotations

import pytest

from domain.errors import LedgerDamaged
from domain.residuals.frozen import Residual, from_document, to_document

ROWS = (Residual("car=1", "a", "1976-07-01T00:00:00.000000Z", -0.25), Residual("car=2", "b", "", 1))


def test_what_was_frozen_is_read_again() -> None:
    assert from_document(to_document(ROWS)) == ROWS


def test_another_format_is_named() -> None:
    with pytest.raises(LedgerDamaged, match=r"format 'whyledger.residuals/2', not .*/1'"):
        from_document({"format": "whyledger.residuals/2", "rows": []})


def test_a_row_that_is_none_is_damage() -> None:
    with pytest.raises(LedgerDamaged, match="frozen residuals cannot be read"):
        from_document(to_document(ROWS) | {"rows": [["car=1", "a"]]})
