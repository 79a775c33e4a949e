"""Damage to the ledger: what was found, what stands, and what lets deciding go on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from domain.errors import NothingToDecide, RequestInvalid
from domain.events.events import DamageFound, DamageSettled, How

_WORDS_MAX: Final = 500  # of a reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Damage that was found, and what became of it."""

    position: int  # of the event that says so
    found: DamageFound
    settled: DamageSettled | None = None  # None: it stands, and nothing is promoted or signed

    @property
    def gone(self) -> bool:
        """Whether a verification since found nothing broken."""
        return self.settled is not None and self.settled.how == "verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDamage:
    """A reader met this."""

    position: int | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleDamage:
    """Go on: what was found is gone, or somebody takes it upon himself.

    Raises:
        RequestInvalid: no reason, or a longer one than 500 characters.
    """

    how: How
    reason: str
    before: int | None = None  # positions of what it may settle are less; None: all there is
    covered: int | None = None  # entries that are proven, as no more is settled; None: whatever

    def __post_init__(self) -> None:
        """Refuse a reason that is none."""
        if not 1 <= len(self.reason.strip()) <= _WORDS_MAX:
            raise RequestInvalid(f"the reason has to be 1 to {_WORDS_MAX} characters; say it.")


def fold(events: Iterable[tuple[int, object]]) -> tuple[Known, ...]:
    """What is known of damage after events with their positions, oldest first.

    A settlement counts for what it names that was found before it, and for nothing else.
    """
    known: dict[int, Known] = {}
    for position, event in events:
        if isinstance(event, DamageFound):
            known[position] = Known(position=position, found=event)
        elif isinstance(event, DamageSettled):
            for each in event.found:
                if each in known and not known[each].gone:
                    known[each] = Known(position=each, found=known[each].found, settled=event)
    return tuple(known.values())


def note_damage(known: tuple[Known, ...], *commands: NoteDamage) -> tuple[DamageFound, ...]:
    """The events that say it, one for each that none says already since a clean verification.

    What an operator accepted stays accepted however often it is met.
    """
    told = still_found(known)
    found = (DamageFound(position=each.position, said=each.said) for each in commands)
    return tuple(each for each in dict.fromkeys(found) if each not in told)


def still_found(known: Iterable[Known]) -> frozenset[DamageFound]:
    """What the ledger says was found, and no verification found gone since."""
    return frozenset(each.found for each in known if not each.gone)


def settle_damage(known: tuple[Known, ...], command: SettleDamage) -> tuple[DamageSettled, ...]:
    """The event that settles what stands; a clean verification settles what was accepted, too.

    Raises:
        NothingToDecide: nothing stands that an operator could accept.
    """
    verified = command.how == "verified"
    concerned = [
        each.position
        for each in known
        if (each.settled is None or (verified and not each.gone))
        and (command.before is None or each.position < command.before)
        and (command.covered is None or is_proven(each, command.covered))
    ]
    if not concerned and not verified:
        raise NothingToDecide("no damage stands; there is nothing to accept.")
    if not concerned:
        return ()
    return (DamageSettled(found=tuple(concerned), how=command.how, reason=command.reason.strip()),)


def is_proven(known: Known, covered: int) -> bool:
    """Whether what was damaged lies under a checkpoint of `covered` entries (0: there is none)."""
    return (known.found.position or 0) < covered


def standing(known: Iterable[Known]) -> tuple[Known, ...]:
    """What keeps everybody from promoting and signing, the first first."""
    return tuple(each for each in known if each.settled is None)
