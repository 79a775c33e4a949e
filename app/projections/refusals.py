"""The rows that were refused, counted by reason, and how many were accepted beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, func, select

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.answered_rows import count_answered
from app.projections.labels import LABELS
from app.projections.read_model import json_text, table_of
from domain.blocks.ids import end_of
from domain.events.envelope import Recorded
from domain.events.events import RowsRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The rows of one model that one door refused within a minute or so."""

    position: int
    model: str
    door: str  # predictions, events or datasets
    rows: int
    reasons: dict[str, int]  # "field: reason" -> count
    recorded_at: str


REFUSALS: Final = table_of(
    Refusal, "refusals", number=1, key="position", indexes=[("model", "position")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows that came in between two positions: predictions and observations, and refusals."""

    accepted: int
    refused: int


def rows_between(connection: Connection, model: str, *, after: int, up_to: int) -> RowCounts:
    """Rows of the model recorded at positions in (after, up_to]; an outcome is no row."""
    predictions = count_answered(connection, model, after=after, up_to=up_to)
    observations = connection.execute(
        select(func.count()).where(
            LABELS.c.model == model,
            LABELS.c.of_place.is_(None),
            LABELS.c.place >= end_of(after),
            LABELS.c.place < end_of(up_to),
        )
    ).scalar_one()
    refused = connection.execute(
        select(func.coalesce(func.sum(REFUSALS.c.rows), 0)).where(
            REFUSALS.c.model == model,
            REFUSALS.c.position > after,
            REFUSALS.c.position <= up_to,
        )
    ).scalar_one()
    return RowCounts(accepted=predictions + int(observations), refused=int(refused))


def _refused(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    rows = []
    for entry in entries:
        event = cast(RowsRefused, entry.event)
        rows.append(
            (
                entry.position,
                event.model,
                event.door,
                event.rows,
                json_text(event.reasons),
                entry.recorded_at,
            )
        )
    insert_rows(connection, REFUSALS, rows)


APPLY: Final = {RowsRefused: _refused}
