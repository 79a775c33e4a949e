"""A cycle that has only to promote waits while damage stands, and uses no attempt up."""

from __future__ import annotations

from typing import Final

from app.ledger.damage import DamageStands, refuse_on_damage
from app.ledger.store import Ledger
from domain.decisions.cycle import Cycle, Step, next_step
from domain.errors import LedgerBusy

WAITS: Final = 75  # a worker's exit code: start another when what stands in its way is gone


def waits(ledger: Ledger, state: Cycle) -> bool:
    """Whether the cycle's next step is a promotion that would be refused for damage."""
    return next_step(state) is Step.PROMOTE and damage_stands(ledger)


def damage_stands(ledger: Ledger) -> bool:
    """Whether damage stands that nobody has settled; who cannot be asked may have some."""
    try:
        with ledger.snapshot() as connection:
            refuse_on_damage(ledger, connection)
    except (DamageStands, LedgerBusy):
        return True
    return False
