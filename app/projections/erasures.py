"""What an erasure removes from the read models: the rows of the events whose data is gone.

A rebuild comes to the same: it finds no data for those events, and no prediction for a label that
another event gave the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from sqlalchemy import Connection, delete, or_, select

from app.projections.tables import LABELS, PREDICTIONS
from domain.envelope import Recorded
from domain.events import PayloadErased

_ROWS_PER_DELETE: Final = 500


def _erased(connection: Connection, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        positions = cast(PayloadErased, entry.event).entries
        for start in range(0, len(positions), _ROWS_PER_DELETE):
            some = list(positions[start : start + _ROWS_PER_DELETE])
            made = select(PREDICTIONS.c.id).where(PREDICTIONS.c.position.in_(some))
            connection.execute(
                delete(LABELS).where(
                    or_(LABELS.c.position.in_(some), LABELS.c.prediction_id.in_(made))
                )
            )
            connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.position.in_(some)))


APPLY: Final = {PayloadErased: _erased}
