"""Damage stops deciding: what was met is recorded, and until it is settled nothing is done on it.

The ledger itself says so, in its own stream, because whoever promotes or signs may be another
process on another machine than the reader who met it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, select

from app.cause import Cause
from app.clock import new_id, now
from app.ledger.batch import NewEvent, StreamAppend
from app.ledger.met_damage import Met
from app.ledger.reading import STORED, read_back, stream_version
from app.ledger.store import Ledger
from app.ledger.tables import ENTRIES
from domain.decisions.damage import (
    Known,
    NoteDamage,
    SettleDamage,
    fold,
    is_known,
    note_damage,
    settle_damage,
    standing,
)
from domain.errors import LedgerDamaged, VersionConflict
from domain.events.events import DamageFound, DamageSettled

_STREAM: Final = DamageFound.stream
_TYPES: Final = (DamageFound.type, DamageSettled.type)
_TRIES: Final = 3
_LOG: Final = logging.getLogger("whyledger.ledger")
GO_ON: Final = (
    "Nothing is promoted and nothing is signed until `whyledger verify` is clean, which a serving "
    "process looks at by itself, or somebody says to go on: `whyledger settle --reason`."
)


class DamageStands(LedgerDamaged):
    """Damage keeps somebody from deciding until it is gone or accepted; then it may be tried."""


def known_damage(connection: Connection) -> tuple[Known, ...]:
    """All damage the ledger says was found, oldest first. Raises LedgerDamaged."""
    query = (
        select(*STORED)
        .where(ENTRIES.c.stream == _STREAM, ENTRIES.c.type.in_(_TYPES))
        .order_by(ENTRIES.c.position)
    )
    entries = read_back(connection, connection.execute(query))
    return fold((entry.position, entry.event) for entry in entries)


def refuse_on_damage(ledger: Ledger, connection: Connection) -> None:
    """For whoever is about to promote, to sign, or to begin deciding.

    Raises:
        DamageStands: damage stands, in the ledger's words or in this process's memory.
    """
    known = known_damage(connection)
    said = [met.said for met in not_known(ledger, known)]
    said += [each.found.said for each in standing(known)]
    if said:
        more = f" {len(said) - 1} more were found." if len(said) > 1 else ""
        raise DamageStands(f"{said[0]}{more} {GO_ON}")


def not_known(ledger: Ledger, known: Iterable[Known]) -> list[Met]:
    """What this process met and the ledger does not say yet: what is accepted may be met again."""
    known = tuple(known)
    return [
        met
        for met in ledger.met.all()
        if not is_known(known, DamageFound(position=met.position, said=met.said))
    ]


def record_damage(ledger: Ledger, cause: Cause) -> None:
    """Let the ledger say what this process met; what cannot be written stays in its memory.

    Raises:
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    for met in ledger.met.all():
        command = NoteDamage(position=met.position, said=met.said)
        if _decided(ledger, partial(_noted, command), cause):
            _LOG.error("damage: %s", met.said)
        ledger.met.remove(met)


def _noted(command: NoteDamage, known: tuple[Known, ...]) -> Sequence[DamageFound]:
    return note_damage(known, command)


def settle(ledger: Ledger, command: SettleDamage, cause: Cause) -> tuple[int, ...]:
    """Settle what stands; the positions of the events that said it was found.

    Raises:
        NothingToDecide: nothing stands that an operator could accept.
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    events = _decided(ledger, lambda known: settle_damage(known, command), cause)
    return tuple(at for event in events if isinstance(event, DamageSettled) for at in event.found)


def _decided(
    ledger: Ledger,
    decide: Callable[[tuple[Known, ...]], Sequence[DamageFound | DamageSettled]],
    cause: Cause,
) -> Sequence[DamageFound | DamageSettled]:
    """As `deciding.decide`, and without read models: those may be what cannot be folded."""
    lost = 0
    while True:
        with ledger.snapshot() as connection:
            known, version = known_damage(connection), stream_version(connection, _STREAM)
        events = decide(known)
        if not events:
            return events
        new = tuple(NewEvent(event=event, id=new_id(), occurred_at=now()) for event in events)
        try:
            ledger.append([StreamAppend(_STREAM, new, version)], cause)
        except VersionConflict:
            lost += 1
            if lost == _TRIES:
                raise
        else:
            return events
