"""What a verification finds broken, in words that name position, expected and found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BREAKS_KEPT: Final = 1000  # of one kind; a ledger with more is broken from there on


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that is not as it was written."""

    position: int | None  # of the first entry concerned; None: no single entry is
    thing: str
    expected: str
    found: str

    @property
    def order(self) -> tuple[bool, int]:
        """Breaks of entries first, by position."""
        return (self.position is None, self.position or 0)

    def sentence(self) -> str:
        """One line for people."""
        where = "" if self.position is None else f"position {self.position}: "
        return f"{where}{self.thing}: expected {self.expected}; found {self.found.rstrip('.')}."

    def as_json(self) -> dict[str, object]:
        """The break as JSON."""
        return {
            "position": self.position,
            "thing": self.thing,
            "expected": self.expected,
            "found": self.found,
        }
