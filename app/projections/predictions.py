"""The predictions that were answered: what a window is made of, and the row an outcome labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, select

from app.database.engine import insert_rows
from app.projections.read_model import json_text, table_of, view_of
from domain.blocks.ids import position_of
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrediction:
    """One prediction as recorded."""

    place: int  # see `Recorded.place`
    id: str  # the prediction id
    model: str
    identity: str
    event_time: str  # of the row
    model_version: str
    prediction: float  # target's unit
    row: Row  # as accepted, without label

    @property
    def position(self) -> int:
        """The position of its entry."""
        return position_of(self.place)


PREDICTIONS: Final = table_of(
    StoredPrediction,
    "predictions",
    number=2,
    key="place",
    unique="id",
    indexes=[("model", "event_time"), ("model", "identity", "place")],
)


def find_prediction(connection: Connection, model: str, id: str) -> StoredPrediction | None:
    """The model's prediction with this id; None when it made none."""
    row = connection.execute(
        select(PREDICTIONS).where(PREDICTIONS.c.id == id, PREDICTIONS.c.model == model)
    ).one_or_none()
    return None if row is None else view_of(StoredPrediction, row)


def latest_prediction(connection: Connection, model: str, identity: str) -> StoredPrediction | None:
    """The model's last prediction of the row with this identity; None when it made none."""
    row = connection.execute(
        select(PREDICTIONS)
        .where(PREDICTIONS.c.model == model, PREDICTIONS.c.identity == identity)
        .order_by(PREDICTIONS.c.place.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else view_of(StoredPrediction, row)


def predicted_identities(
    connection: Connection, model: str, identities: Sequence[str]
) -> frozenset[str]:
    """Those of `identities` that the model made a prediction of."""
    rows = connection.execute(
        select(PREDICTIONS.c.identity)
        .where(PREDICTIONS.c.model == model, PREDICTIONS.c.identity.in_(list(identities)))
        .distinct()
    )
    return frozenset(row.identity for row in rows)


def insert_predictions(connection: Connection, entries: Sequence[Recorded]) -> None:
    """Keep the predictions that these entries made."""
    rows = []
    for entry in entries:
        event = cast(PredictionMade, entry.event)
        rows.append(
            (
                entry.place,
                entry.id,
                event.model,
                event.identity,
                entry.occurred_at,
                event.model_version,
                event.prediction,
                json_text(event.row),
            )
        )
    insert_rows(connection, PREDICTIONS, rows)
