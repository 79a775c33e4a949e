"""Rows that lack the last entry, and are not folded in time."""

from __future__ import annotations

import pytest

from app.ledger.store import Ledger
from domain.errors import LedgerBusy


def hold_up_rows(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on."""

    def busy(*_: object, **__: object) -> None:
        raise LedgerBusy("what came in last is not folded; try again.")

    monkeypatch.setattr(ledger.rows, "catch_up", busy)
    behind = ledger.size() - 2
    monkeypatch.setattr(ledger.rows, "folded", lambda _: behind)
