"""A ledger that cannot be opened for its damage says so to those who opened it earlier."""

from __future__ import annotations

import pytest

from app.ledger.damage import refuse_on_damage
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.errors import LedgerDamaged
from domain.events.events import DamageFound
from tests.app.proof.forger import change, edited
from tests.ledger_events import put, refused


def test_damage_that_keeps_a_ledger_from_opening_is_recorded_once(
    ledger: Ledger, settings: Settings
) -> None:
    put(ledger, "observations-cars", refused(1), refused(2))
    (content,) = ledger.stored_bytes(1, 1)
    change(
        ledger,
        "UPDATE entries SET bytes = :content WHERE position = 1",
        "DELETE FROM read_models.read_model_positions"
        if ledger.engine.dialect.name == "postgresql"
        else "DELETE FROM read_model_positions",  # as another version would find it
        content=edited(content, rows=99),
    )
    for _ in range(2):
        with pytest.raises(LedgerDamaged, match="ledger entry 1: the stored bytes hash to"):
            open_ledger(settings)
    with ledger.snapshot() as connection:
        assert [each.found.position for each in known_damage(connection)] == [1]
        with pytest.raises(LedgerDamaged, match="Nothing is promoted and nothing is signed"):
            refuse_on_damage(ledger)
        stored = connection.exec_driver_sql(
            f"SELECT count(*) FROM entries WHERE type = '{DamageFound.type}'"
        ).scalar_one()
    assert stored == 1
