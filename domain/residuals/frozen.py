"""Frozen residuals: what a model was wrong by on each row, kept as an artefact.

A residual is label less prediction, on the transformed scale of the plan that predicted. The rows
are named, so that a row that has been frozen never counts again, and an erasure finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from domain.errors import LedgerDamaged

FORMAT: Final = "whyledger.residuals/1"


@dataclass(frozen=True, slots=True)
class Residual:
    """One row's residual."""

    identity: str  # the row's identity columns
    group: str
    event_time: str  # UTC, six decimals
    residual: float  # label less prediction, the plan's transformed scale


def to_document(residuals: Iterable[Residual]) -> dict[str, Any]:
    """The residuals as the JSON object that is kept: a list of names and figures a row."""
    return {
        "format": FORMAT,
        "rows": [[r.identity, r.group, r.event_time, r.residual] for r in residuals],
    }


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
    try:
        return tuple(
            Residual(str(identity), str(group), str(time), float(residual))
            for identity, group, time, residual in document["rows"]
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise LedgerDamaged(f"frozen residuals cannot be read: {fault!r}. Restore them.") from fault
