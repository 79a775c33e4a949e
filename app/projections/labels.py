"""The labelled rows: observations, and outcomes with the row of the prediction they label.

A later label for the same identity is a correction: it wins by position, and is no new sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from sqlalchemy import Connection, func, select

from app.database.engine import insert_rows
from app.projections.models import target_of
from app.projections.rows import json_text
from app.projections.tables import LABELS, PREDICTIONS
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, Row


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """One row identity with its label in force."""

    identity: str
    event_time: str
    label: float  # target's unit
    row: Row  # features and other columns, and the label
    position: int  # of the label in force
    first_position: int  # where the identity was first labelled
    labels: int  # how many it was given; all but the last were corrected


def labelled_rows(
    connection: Connection, model: str, *, before: str, up_to: int
) -> tuple[LabelledRow, ...]:
    """Rows with event time before `before`, as labelled up to a position: by event time, identity.

    The latest label per identity.
    """
    of_identity = (
        select(
            func.max(LABELS.c.position).label("last"),
            func.min(LABELS.c.position).label("first"),
            func.count().label("labels"),
        )
        .where(LABELS.c.model == model, LABELS.c.position <= up_to, LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
        .subquery()
    )
    rows = connection.execute(
        select(LABELS, of_identity.c.first, of_identity.c.labels)
        .join(of_identity, LABELS.c.position == of_identity.c.last)
        .where(LABELS.c.event_time < before)
        .order_by(LABELS.c.event_time, LABELS.c.identity)
    )
    return tuple(
        LabelledRow(
            identity=row.identity,
            event_time=row.event_time,
            label=row.label,
            row=orjson.loads(row.row),
            position=row.position,
            first_position=row.first,
            labels=row.labels,
        )
        for row in rows
    )


def latest_rows(connection: Connection, model: str, identities: Sequence[str]) -> dict[str, Row]:
    """Row identity -> its labelled row in force, for those of `identities` that have one.

    What an upload is compared with.
    """
    latest = (
        select(func.max(LABELS.c.position))
        .where(LABELS.c.model == model, LABELS.c.identity.in_(list(identities)))
        .group_by(LABELS.c.identity)
    )
    rows = connection.execute(
        select(LABELS.c.identity, LABELS.c.row).where(LABELS.c.position.in_(latest))
    )
    return {row.identity: orjson.loads(row.row) for row in rows}


def has_labels(connection: Connection, model: str, *, before: str) -> bool:
    """Whether the model has a labelled row with event time before `before`."""
    found = connection.execute(
        select(LABELS.c.position).where(
            LABELS.c.model == model, LABELS.c.label.is_not(None), LABELS.c.event_time < before
        )
    ).first()
    return found is not None


def _observed(connection: Connection, entries: Sequence[Recorded]) -> None:
    targets: dict[str, str | None] = {}
    rows = []
    for entry in entries:
        event = cast(ObservationRecorded, entry.event)
        if event.model not in targets:
            targets[event.model] = target_of(connection, event.model)
        rows.append(
            (
                entry.position,
                event.model,
                event.identity,
                entry.occurred_at,
                _number(event.row.get(targets[event.model] or "")),
                json_text(event.row),
                None,
            )
        )
    insert_rows(connection, LABELS, rows)


def _came_out(connection: Connection, entries: Sequence[Recorded]) -> None:
    events = {entry.position: cast(OutcomeRecorded, entry.event) for entry in entries}
    wanted = sorted({event.prediction_id for event in events.values()})
    found = {
        row.id: row
        for row in connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id.in_(wanted)))
    }
    targets: dict[str, str | None] = {}
    rows = []
    for position, event in events.items():
        prediction = found.get(event.prediction_id)
        if prediction is None or prediction.position > position:
            continue  # a label of nothing: history happened, no row follows from it
        row: dict[str, Any] = orjson.loads(prediction.row)
        if event.model not in targets:
            targets[event.model] = target_of(connection, event.model)
        target = targets[event.model]
        if target:
            row[target] = event.label
        rows.append(
            (
                position,
                event.model,
                prediction.identity,
                prediction.event_time,
                event.label,
                json_text(row),
                event.prediction_id,
            )
        )
    insert_rows(connection, LABELS, rows)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


APPLY: Final = {ObservationRecorded: _observed, OutcomeRecorded: _came_out}
