"""Many values go to a database as one, and come back as each of them."""

from __future__ import annotations

import pytest

from app.database.many_values import joined_keys
from app.ledger import blocks
from app.ledger.blocks import places_by_stored_ids
from app.ledger.store import Ledger
from app.projections import asked_rows
from app.projections.predictions import predicted_identities
from domain.identities import row_digest
from tests.app.many_rows import observations, predictions, put_many


def test_ids_are_found_however_many_are_asked_for_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those behind the first of them, twice, in capitals, and among what are none."""
    monkeypatch.setattr(blocks, "_AT_ONCE", 2)
    seen = observations(1, 2, 3)
    entry = put_many(ledger, seen)
    assert seen.ids is not None
    first, second, third = seen.ids
    misplaced = first.replace("-", "", 1) + "-"
    asked = [first, "no id", second, misplaced, third.upper(), first, "é" * 36]
    with ledger.snapshot() as connection:
        found = places_by_stored_ids(connection, asked)
    at = entry.position
    assert found == {first: (at, 0), second: (at, 1), third.upper(): (at, 2)}


def test_rows_are_asked_about_however_many_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked_rows, "_ROWS_PER_STATEMENT", 2)
    put_many(ledger, predictions(1, 2, 3, 4, 5))
    names = [f"car={car}" for car in (9, 1, 8, 2, 5, 7, 4)]
    asked = {row_digest("cars", name): name for name in names}
    with ledger.connect() as connection:
        found = predicted_identities(connection, asked)
    assert found == {"car=1", "car=2", "car=5", "car=4"}


def test_a_key_of_other_bytes_is_refused_for_it_would_shift_those_behind_it() -> None:
    assert joined_keys([b"a" * 16, b"\0" * 16]) == b"a" * 16 + b"\0" * 16
    with pytest.raises(ValueError, match="16 bytes"):
        joined_keys([b"a" * 15, b"b" * 17])
