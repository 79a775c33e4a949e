"""The predictions that were answered: the window a cycle judges, and the row an outcome labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select

from app.database.engine import insert_rows
from app.ledger.reading import Past
from app.projections.labels import LABELS, erased_places
from app.projections.read_model import json_text, table_of, view_of
from domain.blocks.ids import place_of, position_of
from domain.events.envelope import Recorded
from domain.events.events import PayloadErased, PredictionMade, Row

OTHER_VERSION: Final = "made by another version"
BEFORE_TRAINING_ENDED: Final = "before the champion's training ended"
TRAINED_ON: Final = "of a row that the champion was trained on"
SUPERSEDED: Final = "a later prediction of the same row counts"


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


PredictedRow = StoredPrediction
PREDICTIONS: Final = table_of(
    StoredPrediction,
    "predictions",
    number=2,
    key="place",
    unique="id",
    indexes=[("model", "event_time"), ("model", "identity", "place")],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The predictions a cycle judges, and those it does not, by reason."""

    rows: tuple[StoredPrediction, ...]  # as they were recorded
    left_out: dict[str, int]  # reason -> predictions; reasons that hold for none are left out

    def without(self, identities: frozenset[str], reason: str) -> Window:
        """The window less the rows with these identities, which are counted under `reason`."""
        rows = tuple(row for row in self.rows if row.identity not in identities)
        left = len(self.rows) - len(rows)
        return Window(rows=rows, left_out=self.left_out | ({reason: left} if left else {}))


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


def window_predictions(
    connection: Connection,
    model: str,
    *,
    model_version: str,
    start: str,
    end: str,
    up_to: int,
    unclipped_start: str | None = None,
) -> Window:
    """`model_version`'s predictions with event time in [start, end), recorded up to a position.

    The latest prediction per row identity counts. `unclipped_start`: where the drift window would
    start were it not clipped at the champion's training; what is left out is counted from there.
    """
    table = PREDICTIONS.c
    known = and_(table.model == model, table.place < place_of(up_to + 1, 0))
    inside = and_(
        known,
        table.model_version == model_version,
        table.event_time >= start,
        table.event_time < end,
    )
    latest = select(func.max(table.place)).where(inside).group_by(table.identity)
    rows = connection.execute(
        select(PREDICTIONS).where(table.place.in_(latest)).order_by(table.place)
    )
    found = tuple(view_of(StoredPrediction, row) for row in rows)
    reach = start if unclipped_start is None else unclipped_start
    asked = and_(known, table.event_time >= reach, table.event_time < end)
    counts = {
        OTHER_VERSION: _count(connection, and_(asked, table.model_version != model_version)),
        BEFORE_TRAINING_ENDED: _count(
            connection,
            and_(asked, table.model_version == model_version, table.event_time < start),
        ),
        SUPERSEDED: _count(connection, inside) - len(found),
    }
    return Window(rows=found, left_out={reason: n for reason, n in counts.items() if n})


def unlabelled_predictions(
    connection: Connection, model: str, *, model_version: str, start: str, before: str
) -> tuple[int, int]:
    """Rows that `model_version` predicted, event time in [start, before): all, unlabelled ones."""
    table, labels = PREDICTIONS.c, LABELS.c
    asked = and_(
        table.model == model,
        table.model_version == model_version,
        table.event_time >= start,
        table.event_time < before,
    )
    distinct = func.count(table.identity.distinct())
    labelled = (
        select(labels.place)
        .where(labels.model == model, labels.identity == table.identity)
        .exists()
    )
    every = connection.execute(select(distinct).where(asked)).scalar_one()
    late = connection.execute(select(distinct).where(asked, ~labelled)).scalar_one()
    return int(every), int(late)


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())


def _made(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
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


def _erased(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for model, places in erased_places(entries):
        named = PREDICTIONS.c.place.in_(places)
        connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.model == model, named))


APPLY: Final = {PredictionMade: _made, PayloadErased: _erased}
