"""An entry whose bytes hash to its leaf, and which nobody can read: what stands in its place.

Such a thing is damage, for no version of the service wrote it: a newer one would have raised the
revision of the schema with its new event types (`app/database/migrating.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
    """Stands where an entry is that cannot be read. Folds and projections pass it over."""

    type: str  # as the column beside the bytes says, as far as it is text
    schema: int
    why: str  # without its position, without a full stop
    edited: bool = False  # its data, apart, is not what was written or is gone: it was read before


def said(position: int, why: str) -> str:
    """The one sentence that tells of it, as `verify` does: so it is one damage, whoever met it."""
    return f"position {position}: {THING}: expected {EXPECTED}; found {why}."
