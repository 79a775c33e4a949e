"""What a verification came to, said by the ledger itself: so that every process knows."""

from __future__ import annotations

from app.cause import Cause
from app.ledger.damage import known_damage, record_damage, settle_known
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.proof.verify.verification import Verified
from domain.decisions.damage import SettleDamage, standing


def record_verification(ledger: Ledger, found: Verified, cause: Cause) -> tuple[int, ...]:
    """Settle what was found before, when nothing is broken any more; else name one break.

    Never more than one: what follows from a break would look new whenever the ledger has grown.
    Nor where something stands that stops deciding already, or where that break was accepted.

    Returns:
        The positions of the events that said what is settled now.

    Raises:
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    if found.sound:
        reason = f"{found.entries} entries were verified, root {found.root}; nothing is broken"
        return settle_known(
            ledger, SettleDamage(how="verified", reason=reason, before=found.entries), cause
        )
    with ledger.snapshot() as connection:
        known = known_damage(connection)
    named = {each.found.position for each in known if not each.gone}
    new = [
        each
        for each in found.breaks
        if each not in found.differing
        and each.position not in named
        and (each.position or 0) < found.entries
    ]
    if new and not standing(known):
        ledger.met.add(Met(new[0].position, new[0].sentence()))
        record_damage(ledger, cause)
    return ()
