"""An entry that nobody can read, or whose bytes are not what its hash says: what stands in its
place.

Such a thing is damage, for no version of the service wrote it: a newer one would have raised the
revision of the schema with its new event types (`app/database/migrating.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from domain.errors import LedgerDamaged

THING = "the entry"
NO_JSON = "bytes that are no JSON"
HOLDS_NUL = "text that holds U+0000 (NUL)"  # which no version writes, and PostgreSQL cannot fold
EXPECTED = "one that can be read"


class EntryUnreadable(LedgerDamaged):
    """An entry cannot be read by this version; `why` says it, without the position."""

    code: ClassVar[str] = LedgerDamaged.code

    def __init__(self, position: int, why: str) -> None:
        super().__init__(
            f"entry {position} cannot be read: {why}. Use a version at least as new as the one "
            "that wrote it, or verify the ledger against a checkpoint."
        )
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Stands where an entry is that cannot be read. Folds and projections pass it over.

    `edited`: its bytes, or its data that stands apart, are not what was written, or are gone. Then
    it may have said something before, and who decides by it has to know.
    """

    type: str  # as the column beside the bytes says, as far as it is text
    schema: int
    why: str  # without its position, without a full stop
    edited: bool = False


class Typed(Protocol):
    """Any event, and what stands in place of one."""

    @property
    def type(self) -> str:
        """Of the event."""


def said(position: int, why: str) -> str:
    """The one sentence that tells of it, as `verify` does: so it is one damage, whoever met it."""
    return f"position {position}: {THING}: expected {EXPECTED}; found {why}."


def instead_of(position: int, event: Typed, expected: str) -> LedgerDamaged:
    """For who needs the entry at `position` to be of the type `expected`, and it is not."""
    if not isinstance(event, Unreadable):
        return LedgerDamaged.stranger(position, event.type, expected)
    return LedgerDamaged(f"{event.why}." if event.edited else said(position, event.why))
