"""Frozen residuals: what a model was wrong by on each row, kept as an artefact.

A residual is label less prediction, on the transformed scale of the plan that predicted. The rows
are named, so that a row that has been frozen never counts again, and an erasure finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from domain.canonical import canonical_bytes
from domain.canonical_lists import elements
from domain.errors import LedgerDamaged

FORMAT: Final = "whyledger.residuals/1"
HEAD: Final = b'{"format":"%s","rows":[' % FORMAT.encode()
TAIL: Final = b"]}"


@dataclass(frozen=True, slots=True)
class Residual:
    """One row's residual."""

    identity: str  # the row's identity columns
    group: str
    event_time: str  # UTC, six decimals
    residual: float  # label less prediction, the plan's transformed scale


def to_document(residuals: Iterable[Residual]) -> dict[str, Any]:
    """The residuals as the JSON object that is kept: a list of names and figures a row."""
    return {"format": FORMAT, "rows": list(map(_to_list, residuals))}


def row_bytes(residual: Residual) -> bytes:
    """One row as it stands among the canonical bytes of `to_document`.

    They are `HEAD`, the rows with commas between them, and `TAIL`.
    """
    return canonical_bytes(_to_list(residual))


def read_frozen(content: bytes) -> Iterator[Residual]:
    """The residuals in these bytes, in their order, some thousand in memory at a time.

    Raises:
        LedgerDamaged: another format, or a row that is none.
    """
    if not (content.startswith(HEAD) and content.endswith(TAIL)):
        yield from from_document(orjson.loads(content))
        return
    for rows in elements(content, len(HEAD), len(content) - len(TAIL)):
        yield from _from_lists(rows)


def from_document(document: Mapping[str, Any]) -> tuple[Residual, ...]:
    """The residuals from the JSON object that `to_document` made, in its order.

    Raises:
        LedgerDamaged: another format, or a row that is none.
    """
    if document.get("format") != FORMAT:
        raise LedgerDamaged(
            f"frozen residuals have format {document.get('format')!r}, not {FORMAT!r}. "
            "Read them with the version that wrote them."
        )
    return tuple(_from_lists(document.get("rows")))


def _to_list(residual: Residual) -> list[str | float]:
    return [residual.identity, residual.group, residual.event_time, residual.residual]


def _from_lists(rows: Any) -> Iterator[Residual]:
    try:
        for identity, group, time, residual in rows:
            yield Residual(str(identity), str(group), str(time), float(residual))
    except (TypeError, ValueError) as fault:
        raise LedgerDamaged(f"frozen residuals cannot be read: {fault!r}. Restore them.") from fault
