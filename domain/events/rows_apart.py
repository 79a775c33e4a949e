"""Whether an entry of many rows can be read: what its envelope says, and the rows that stand apart.

What the hashed envelope says and nobody can have written makes the entry unreadable, as with every
other event. Rows that are not those of its root were changed behind the service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from domain.blocks.block import ROWS_MIN, Block, erased_row
from domain.blocks.ids import ROWS_MAX
from domain.blocks.layouts import LAYOUTS, Layout, shared_fault
from domain.blocks.lines_together import block_together, fit_together
from domain.events.quick import Envelope
from domain.stored_damage import StoredDamage

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ROOT: Final = re.compile(r"[0-9a-f]{64}")

# The rows of the entry at a position; None: they are not to be looked at. Raises StoredDamage when
# they are missing.
BlockOf = Callable[[int], Block | None]


@dataclass(frozen=True, slots=True)
class RowsApart:
    """The rows of an entry, as they are stored and laid out."""

    block: Block = field(repr=False)
    layout: Layout = field(repr=False)


def envelope_fault(envelope: Envelope[Any], shared: Mapping[str, Any], newest: int) -> str | None:
    """Why an entry of many rows cannot be read by what its envelope says, in words; None: it can.

    Args:
        envelope: as it is hashed.
        shared: its data, read.
        newest: the schema number of the plain event that its rows stand for.
    """
    layout = LAYOUTS[envelope.type, envelope.schema]
    if not _UUID.fullmatch(envelope.id):
        return "an id that is no UUID"  # those of its rows follow from it
    if not ROWS_MIN <= shared["rows"] <= ROWS_MAX:
        return f"{shared['rows']} rows, where an entry of many has {ROWS_MIN} to {ROWS_MAX}"
    if not _ROOT.fullmatch(shared["rows_root"]):
        return "a root of its rows that is no SHA-256"
    if not 1 <= shared["row_schema"] <= newest:
        return f"rows of {layout.plain!r} schema {shared['row_schema']}, unknown"
    if not shared["occurred_from"] <= shared["occurred_until"] == envelope.occurred_at:
        return "times that are not those of its rows"
    return shared_fault(layout, shared)


def checked_rows(
    position: int, name: str, schema: int, shared: Mapping[str, Any], block: Block
) -> RowsApart:
    """The rows of the entry at `position`, which are those that its envelope commits to.

    Raises:
        StoredDamage: they are not.
    """
    fault = block.fault(shared["rows"])
    if fault is None and (root := block.root().hex()) != shared["rows_root"]:
        fault = f"rows whose root is {root}, and the entry says {shared['rows_root']}"
    if fault is not None:
        raise StoredDamage(
            f"the rows that stand apart for entry {position} are not as written: {fault}. Stop "
            "writing; compare with a back-up.",
            position,
        )
    return RowsApart(block, LAYOUTS[name, schema])


def rows_fault(rows: RowsApart, shared: Mapping[str, Any]) -> str | None:
    """Why a row that is there is none of its layout, in words; None: all are."""
    together = block_together(rows.layout, shared, rows.block)
    if together is not None and fit_together(rows.layout, shared, together):
        return None
    for row, line in enumerate(rows.block.lines):
        if erased_row(line) is None and (fault := rows.layout.line_fault(shared, line)):
            return f"row {row}, which has {fault}"
    return None
