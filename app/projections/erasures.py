"""Where the read models hold a row that somebody wants to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.projections.labels import LABELS
from app.projections.predictions import PREDICTIONS
from domain.blocks.ids import position_of
from domain.identities import row_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Where the read models hold a row."""

    places: frozenset[int]  # of the events they hold it from, see `Recorded.place`
    labels: tuple[tuple[int, str], ...]  # position and event time of each label


def traces_of(connection: Connection, model: str, identity: str) -> Traces:
    """Where the read models hold the model's row with this identity."""
    digest = row_digest(model, identity)
    predicted = connection.execute(
        select(PREDICTIONS.c.place).where(PREDICTIONS.c.identity_digest == digest)
    ).scalars()
    labelled = connection.execute(
        select(LABELS.c.place, LABELS.c.event_time).where(LABELS.c.identity_digest == digest)
    )
    found = [(row.place, row.event_time) for row in labelled]
    return Traces(
        places=frozenset(predicted) | {place for place, _ in found},
        labels=tuple((position_of(place), event_time) for place, event_time in found),
    )
