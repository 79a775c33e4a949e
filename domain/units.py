"""Units and meanings written on the fields of events, from which `docs/events.md` is generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a field and what it means, as a reader of the catalogue wants it."""

    unit: str
    meaning: str


def noted(unit: str, meaning: str) -> Unit:
    """Annotate a field: `rows: Annotated[int, noted("rows", "after de-duplication")]`."""
    return Unit(unit, meaning)
