"""What a verification came to, said by the ledger itself: so that every process knows."""

from __future__ import annotations

from typing import NamedTuple

from app.cause import Cause
from app.ledger.damage import record_damage, settle_known
from app.ledger.known_damage import known_damage
from app.ledger.met_damage import Met
from app.ledger.store import Ledger
from app.proof.verify.verification import Verified
from domain.decisions.damage import SettleDamage, is_proven, standing


class Came(NamedTuple):
    """What a verification that was recorded came to."""

    settled: tuple[int, ...]  # positions of the events that said what is settled now
    unproven: str = ""  # why other damage is not, although nothing is broken; empty: all is


def record_verification(ledger: Ledger, found: Verified, cause: Cause) -> Came:
    """Settle what was found before, when nothing is broken any more; else name one break.

    Only what a checkpoint covers is settled. Elsewhere nothing is broken either where somebody
    edited an entry and everything that is computed from it.

    Never more than one: what follows from a break would look new whenever the ledger has grown.
    Nor where something stands that stops deciding already, or where that break was accepted.

    Raises:
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    if found.sound:
        reason = f"{found.entries} entries were verified, root {found.root}; nothing is broken"
        command = SettleDamage(
            how="verified", reason=reason, before=found.entries, covered=found.covered
        )
        return Came(settle_known(ledger, command, cause), _unproven(ledger, found))
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
    return Came(())


def _unproven(ledger: Ledger, found: Verified) -> str:
    """Why damage stays that is not broken any more; empty where none does."""
    with ledger.snapshot() as connection:
        known = known_damage(connection)
    left = [
        each
        for each in known
        if not each.gone and each.position < found.entries and not is_proven(each, found.covered)
    ]
    if not left:
        return ""
    proven = f"the first {found.covered} entries alone are" if found.covered else "no entry is"
    more = f" So it is with {len(left) - 1} others." if len(left) > 1 else ""
    if left[0].settled is None:
        remedy = (
            "Name a later checkpoint, `whyledger verify --record --checkpoint`; or go on, "
            "`whyledger settle --reason`."
        )
    else:
        remedy = "It was accepted, and is settled when a checkpoint covers it."
    return (
        f"Nothing is broken any more, but {proven} proven by a checkpoint, and so not what entry "
        f"{left[0].position} says was found ({left[0].found.said}).{more} {remedy}"
    )
