"""What the ledger itself says of its damage, and who may not go on without what was damaged.

A fold that goes on, a list and a page pass over an entry that is not what its hash says. Whoever
decides by a stream, or begins a read model at the first entry, would give another answer without
it: nobody does until somebody accepts that damage (decision 27).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection, select

from app.ledger.met_damage import Met, note
from app.ledger.stored_bytes import Column, whole
from app.ledger.tables import ENTRIES
from app.ledger.unreadable import STORED, StoredRow, read_entry
from domain.decisions.damage import Known, fold
from domain.errors import LedgerDamaged
from domain.events.envelope import Recorded
from domain.events.events import DamageFound, DamageSettled
from domain.events.unreadable import Unreadable
from domain.stored_damage import StoredDamage

STREAM: Final = DamageFound.stream
_TYPES: Final = (DamageFound.type, DamageSettled.type)
_PAGE: Final = 1000  # entries whose bytes are looked at in one transaction


def known_damage(connection: Connection) -> tuple[Known, ...]:
    """All damage the ledger says was found, oldest first.

    Raises:
        LedgerDamaged: a newer version may have written an entry that says so.
    """
    query = (
        select(*STORED)
        .where(ENTRIES.c.stream == STREAM, ENTRIES.c.type.in_(_TYPES))
        .order_by(ENTRIES.c.position)
    )
    entries = [read_entry(connection, StoredRow(*row)) for row in connection.execute(query)]
    return fold((entry.position, entry.event) for entry in entries)


def not_accepted(connection: Connection, damages: Iterable[StoredDamage]) -> StoredDamage | None:
    """The first of them that nobody accepted, as it is now; None: there is none."""
    accepted: frozenset[tuple[int | None, str]] | None = None
    for damage in damages:
        if accepted is None:  # read where something is damaged, and nowhere else
            accepted = _accepted(connection)
        if (damage.position, damage.message) not in accepted:
            return damage
    return None


def damages_of(entries: Iterable[Recorded]) -> Iterator[StoredDamage]:
    """Of those of these entries that are not what was written: what they said may be missed."""
    for entry in entries:
        if isinstance(entry.event, Unreadable) and entry.event.edited:
            yield StoredDamage(f"{entry.event.why}.", entry.position)


def refuse_to_lack(connection: Connection, entries: Iterable[Recorded]) -> None:
    """For who decides by these entries, or answers with what they say.

    Raises:
        StoredDamage: one is not what was written, and nobody accepted that.
    """
    damage = not_accepted(connection, damages_of(entries))
    if damage is not None:
        raise damage


def refuse_to_begin(snapshot: Callable[[], AbstractContextManager[Connection]]) -> None:
    """For who folds from the first entry on: look at the bytes of every entry, and note what is not
    as it was and nobody accepted.

    Args:
        snapshot: opens a transaction to read in: one a page, for a long one would keep what others
            delete.

    Raises:
        LedgerDamaged: an entry is not what its hash says, and nobody accepted that.
    """
    columns = (ENTRIES.c.position, ENTRIES.c.bytes, ENTRIES.c.leaf_hash)
    first: StoredDamage | None = None
    after = -1
    while True:
        with snapshot() as connection:
            query = select(*columns).where(ENTRIES.c.position > after)
            rows = connection.execute(query.order_by(ENTRIES.c.position).limit(_PAGE)).all()
            damages = [damage for row in rows if (damage := _damage_of(*row)) is not None]
            accepted = _accepted(connection) if damages else frozenset()
            for damage in damages:
                if (damage.position, damage.message) not in accepted:
                    note(connection, Met(damage.position, damage.message))
                    first = first or damage
        if len(rows) < _PAGE:
            break
        after = rows[-1].position
    if first is not None:
        raise LedgerDamaged(
            f"{first.message} Read models that are folded from the first entry on would lack what "
            "it said, and answer other than before. Restore the entry from a back-up; or accept "
            "that it says nothing any more: `whyledger settle --reason`."
        )


def _accepted(connection: Connection) -> frozenset[tuple[int | None, str]]:
    """Position and words of what somebody accepted, and no verification found gone since."""
    return frozenset(
        (each.found.position, each.found.said)
        for each in known_damage(connection)
        if each.settled is not None and not each.gone
    )


def _damage_of(position: int, stored: Column, stored_hash: Column) -> StoredDamage | None:
    try:
        whole(position, stored, stored_hash)
    except StoredDamage as damage:
        return damage
    return None
