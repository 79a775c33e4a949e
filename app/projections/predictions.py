"""The predictions that were answered: what a window is made of, and the row an outcome labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, func, select

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.read_model import ROWS_METADATA, json_text, table_of, view_of
from domain.blocks.ids import position_of
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, Row

_IDS_PER_STATEMENT: Final = 500


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
    number=3,
    metadata=ROWS_METADATA,
    key="place",
    unique="id",
    indexes=[("model", "event_time"), ("model", "identity", "place")],
)


def find_predictions(
    connection: Connection, model: str, ids: Sequence[str]
) -> dict[str, StoredPrediction]:
    """The model's predictions with those of `ids` that it made, by id, as the ledger says."""
    return {
        id: StoredPrediction(
            place=made.place,
            id=id,
            model=model,
            identity=made.event.identity,
            event_time=made.occurred_at,
            model_version=made.event.model_version,
            prediction=made.event.prediction,
            row=made.event.row,
        )
        for id, made in Past(connection).with_ids(ids).items()
        if isinstance(made.event, PredictionMade) and made.event.model == model
    }


def latest_predictions(
    connection: Connection, model: str, identities: Sequence[str]
) -> dict[str, StoredPrediction]:
    """The model's last prediction of each of those rows that it made one of, by identity."""
    found = {}
    predicted = PREDICTIONS.c
    for start in range(0, len(identities), _IDS_PER_STATEMENT):
        some = identities[start : start + _IDS_PER_STATEMENT]
        last = (
            select(func.max(predicted.place))
            .where(predicted.model == model, predicted.identity.in_(some))
            .group_by(predicted.identity)
        )
        for row in connection.execute(select(PREDICTIONS).where(predicted.place.in_(last))):
            found[row.identity] = view_of(StoredPrediction, row)
    return found


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
