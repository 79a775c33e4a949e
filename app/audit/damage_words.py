"""What a command says of a ledger that is known to be damaged, whatever it was asked for."""

from __future__ import annotations

from app.ledger.damage import GO_ON
from app.ledger.known_damage import known_damage
from app.ledger.store import Ledger
from domain.decisions.damage import standing
from domain.errors import LedgerDamaged


def damage_words(ledger: Ledger) -> tuple[str | None, str | None]:
    """Damage that stands, and damage that somebody accepted; None where there is none.

    Raises:
        LedgerBusy: the database is in use or out of reach.
    """
    try:
        with ledger.snapshot() as connection:
            known = known_damage(connection)
    except LedgerDamaged as error:
        return error.message, None
    stands = [each.found.said for each in standing(known)]
    accepted = [
        f"{each.found.said} It was accepted: {each.settled.reason}."
        for each in known
        if each.settled and not each.gone
    ]
    return (
        f"{_first(stands)} {GO_ON}" if stands else None,
        _first(accepted) if accepted else None,
    )


def _first(said: list[str]) -> str:
    more = f" {len(said) - 1} more were found." if len(said) > 1 else ""
    return f"{said[0]}{more}"
