"""What an open cycle waits for, when it is not its own work."""

from __future__ import annotations

from app.ledger.damage import GO_ON
from app.ledger.known_damage import known_damage
from app.ledger.store import Connection
from app.projections.cycles import unfinished_cycle
from domain.decisions.cycle import Step, fold_state, next_step
from domain.decisions.damage import standing


def waits_for(connection: Connection, model: str) -> str | None:
    """Why the model's open cycle does not promote its candidate now; None: nothing keeps it."""
    cycle = unfinished_cycle(connection, model)
    if cycle is None or next_step(fold_state(cycle.state)) is not Step.PROMOTE:
        return None
    stands = standing(known_damage(connection))
    if not stands:
        return None
    return f"{cycle.cycle} waits with its promotion: {stands[0].found.said} {GO_ON}"
