"""What an erasure removes from the read models: the rows of the events whose data is gone.

A rebuild comes to the same: it finds no data for those events, and no prediction for a label that
another event gave the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, delete, or_, select

from app.projections.tables import LABELS, PREDICTIONS
from domain.events.envelope import Recorded
from domain.events.events import PayloadErased

_ROWS_PER_DELETE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Where the read models hold a row."""

    positions: frozenset[int]  # of the events they hold it from
    labels: tuple[tuple[int, str], ...]  # position and event time of each label


def traces_of(connection: Connection, model: str, identity: str) -> Traces:
    """Where the read models hold the model's row with this identity."""
    predicted = connection.execute(
        select(PREDICTIONS.c.position).where(
            PREDICTIONS.c.model == model, PREDICTIONS.c.identity == identity
        )
    ).scalars()
    labelled = connection.execute(
        select(LABELS.c.position, LABELS.c.event_time).where(
            LABELS.c.model == model, LABELS.c.identity == identity
        )
    )
    labels = tuple((row.position, row.event_time) for row in labelled)
    return Traces(positions=frozenset(predicted) | {at for at, _ in labels}, labels=labels)


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
