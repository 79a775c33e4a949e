"""Damage stops deciding: what was met is recorded, and until it is settled nothing is done on it.

The ledger itself says so, in its own stream, because whoever promotes or signs may be another
process on another machine than the reader who met it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection

from app.cause import Cause
from app.ledger.deciding import Look, decide
from app.ledger.known_damage import STREAM, known_damage
from app.ledger.met_damage import Met
from app.ledger.reading import StreamHistory, stream_version
from app.ledger.store import Ledger
from domain.decisions.damage import (
    Known,
    NoteDamage,
    SettleDamage,
    note_damage,
    settle_damage,
    standing,
    still_found,
)
from domain.errors import LedgerDamaged
from domain.events.events import DamageFound, DamageSettled

_LOG: Final = logging.getLogger("whyledger.ledger")
GO_ON: Final = (
    "Nothing is promoted and nothing is signed until a verification finds nothing broken, which a "
    "serving process looks at by itself and `whyledger verify --record` where none serves, or "
    "somebody says to go on: `whyledger settle --reason`."
)


class DamageStands(LedgerDamaged):
    """Damage keeps somebody from deciding until it is gone or accepted; then it may be tried."""


def refuse_on_damage(ledger: Ledger) -> None:
    """For whoever is about to promote, to sign, or to begin deciding.

    What this process met is in its memory until the ledger says so: the memory is looked at first,
    and the ledger as it stands after that, so that nothing is between the two.

    Raises:
        DamageStands: damage stands, in the ledger's words or in this process's memory.
    """
    met = ledger.met.all()
    with ledger.snapshot() as connection:
        stops = stopped_by(met, known_damage(connection))
    if stops is not None:
        raise DamageStands(stops)


def stopped_by(met: Iterable[Met], known: tuple[Known, ...]) -> str | None:
    """The damage that stops deciding, met here or `known` to the ledger; None: nothing does.

    What somebody accepted is met again and again, and stops nothing.
    """
    said = [each.said for each in unknown(met, known)]
    said += [each.found.said for each in standing(known)]
    if not said:
        return None
    more = f" {len(said) - 1} more were found." if len(said) > 1 else ""
    return f"{said[0]}{more} {GO_ON}"


def unknown(met: Iterable[Met], known: Iterable[Known]) -> list[Met]:
    """What the ledger does not say, or says is gone since."""
    told = still_found(known)
    return [each for each in met if DamageFound(position=each.position, said=each.said) not in told]


def record_damage(ledger: Ledger, cause: Cause, met: Iterable[Met] | None = None) -> None:
    """Let the ledger say what this process met, all at once; else it stays in its memory.

    Args:
        ledger: open.
        cause: who says it.
        met: of its memory; None: all of it.

    Raises:
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    waiting = ledger.met.all() if met is None else tuple(met)
    if not waiting:
        return
    commands = [NoteDamage(position=each.position, said=each.said) for each in waiting]
    decision = decide(ledger, _LOOK, _note_all, commands, cause)
    for entry in decision.recorded:
        if isinstance(entry.event, DamageFound):
            _LOG.error("damage: %s", entry.event.said)
    for each in waiting:
        ledger.met.remove(each)


def settle_known(ledger: Ledger, command: SettleDamage, cause: Cause) -> tuple[int, ...]:
    """Settle what stands; the positions of the events that said it was found.

    Raises:
        NothingToDecide: nothing stands that an operator could accept.
        LedgerBusy, LedgerDamaged: the ledger cannot be read or written.
    """
    decision = decide(ledger, _LOOK, settle_damage, command, cause)
    settled = (entry.event for entry in decision.recorded)
    return tuple(at for event in settled if isinstance(event, DamageSettled) for at in event.found)


def _note_all(known: tuple[Known, ...], commands: Sequence[NoteDamage]) -> tuple[DamageFound, ...]:
    return note_damage(known, *commands)


def _look(connection: Connection) -> tuple[tuple[Known, ...], StreamHistory]:
    """What is known, and the stream that says it, of whose other entries nothing hangs on."""
    history = StreamHistory(STREAM, (), stream_version(connection, STREAM))
    return known_damage(connection), history


_LOOK: Final = Look(_look, read_models=False)
