"""The rows that were refused, counted by reason, and how many were accepted beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson
from sqlalchemy import Connection, func, select

from app.ledger.database import insert_rows
from app.projections.rows import json_text
from app.projections.tables import LABELS, PREDICTIONS, REFUSALS
from domain.envelope import Recorded
from domain.events import RowsRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """Rows that came in between two positions: predictions and observations, and refusals."""

    accepted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalTotals:
    """What was refused of a model in all."""

    rows: int
    reasons: dict[str, int]  # "field: reason" -> count
    last_at: str | None  # recorded_at of the latest count


def rows_between(connection: Connection, model: str, *, after: int, up_to: int) -> RowCounts:
    """Rows of the model recorded at positions in (after, up_to]; an outcome is no row."""
    predictions = connection.execute(
        select(func.count()).where(
            PREDICTIONS.c.model == model,
            PREDICTIONS.c.position > after,
            PREDICTIONS.c.position <= up_to,
        )
    ).scalar_one()
    observations = connection.execute(
        select(func.count()).where(
            LABELS.c.model == model,
            LABELS.c.prediction_id.is_(None),
            LABELS.c.position > after,
            LABELS.c.position <= up_to,
        )
    ).scalar_one()
    refused = connection.execute(
        select(func.coalesce(func.sum(REFUSALS.c.rows), 0)).where(
            REFUSALS.c.model == model,
            REFUSALS.c.position > after,
            REFUSALS.c.position <= up_to,
        )
    ).scalar_one()
    return RowCounts(accepted=int(predictions) + int(observations), refused=int(refused))


def refusal_totals(connection: Connection, model: str) -> RefusalTotals:
    """Everything refused of the model so far, by reason, most frequent first."""
    rows, last_at = 0, None
    reasons: Counter[str] = Counter()
    for row in connection.execute(
        select(REFUSALS).where(REFUSALS.c.model == model).order_by(REFUSALS.c.position)
    ):
        rows, last_at = rows + row.rows, row.recorded_at
        reasons.update(orjson.loads(row.reasons))
    return RefusalTotals(rows=rows, reasons=dict(reasons.most_common()), last_at=last_at)


def _refused(connection: Connection, entries: Sequence[Recorded]) -> None:
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
