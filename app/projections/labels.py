"""The labelled rows: observations, and outcomes with the row of the prediction they label.

A later label for the same identity is a correction: it wins by its place, and is no new sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
from sqlalchemy import Connection, delete, func, or_, select

from app.database.engine import insert_rows
from app.ledger.reading import Past
from app.ledger.streams import model_stream
from app.projections.read_model import json_text, table_of
from domain.blocks.ids import place_of, position_of
from domain.events.envelope import Recorded
from domain.events.events import (
    ContractAdopted,
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
    PredictionMade,
    Row,
)

_ROWS_PER_DELETE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One label of one row, in force or corrected since."""

    place: int  # of the label, see `Recorded.place`
    model: str
    identity: str
    event_time: str  # of the row
    label: float | None  # target's unit; None where the row lacks it
    row: dict[str, Any]  # features and other columns, and the label
    prediction_id: str | None  # None for an observation


LABELS: Final = table_of(
    Label, "labels", number=2, key="place", indexes=[("model", "identity", "place")]
)


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
            func.max(LABELS.c.place).label("last"),
            func.min(LABELS.c.place).label("first"),
            func.count().label("labels"),
        )
        .where(LABELS.c.model == model, LABELS.c.place < _end(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
        .subquery()
    )
    rows = connection.execute(
        select(LABELS, of_identity.c.first, of_identity.c.labels)
        .join(of_identity, LABELS.c.place == of_identity.c.last)
        .where(LABELS.c.event_time < before)
        .order_by(LABELS.c.event_time, LABELS.c.identity)
    )
    return tuple(
        LabelledRow(
            identity=row.identity,
            event_time=row.event_time,
            label=row.label,
            row=orjson.loads(row.row),
            position=position_of(row.place),
            first_position=position_of(row.first),
            labels=row.labels,
        )
        for row in rows
    )


def labelled_identities(
    connection: Connection, model: str, *, before: str | None, up_to: int
) -> frozenset[str]:
    """The rows that `labelled_rows` gives for the same; None: whatever their event time."""
    last = (
        select(func.max(LABELS.c.place))
        .where(LABELS.c.model == model, LABELS.c.place < _end(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
    )
    found = select(LABELS.c.identity).where(LABELS.c.place.in_(last))
    if before is not None:
        found = found.where(LABELS.c.event_time < before)
    return frozenset(connection.execute(found).scalars())


def first_labels(connection: Connection, model: str, *, up_to: int) -> dict[str, float]:
    """Row identity -> the first label it was given (target's unit), up to a position.

    What is asked about again and again must not change with a correction.
    """
    first = (
        select(func.min(LABELS.c.place))
        .where(LABELS.c.model == model, LABELS.c.place < _end(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
    )
    rows = connection.execute(
        select(LABELS.c.identity, LABELS.c.label).where(LABELS.c.place.in_(first))
    )
    return {row.identity: row.label for row in rows}


def latest_rows(connection: Connection, model: str, identities: Sequence[str]) -> dict[str, Row]:
    """Row identity -> its labelled row in force, for those of `identities` that have one.

    What an upload is compared with.
    """
    latest = (
        select(func.max(LABELS.c.place))
        .where(LABELS.c.model == model, LABELS.c.identity.in_(list(identities)))
        .group_by(LABELS.c.identity)
    )
    rows = connection.execute(
        select(LABELS.c.identity, LABELS.c.row).where(LABELS.c.place.in_(latest))
    )
    return {row.identity: orjson.loads(row.row) for row in rows}


def has_labels(connection: Connection, model: str, *, before: str) -> bool:
    """Whether the model has a labelled row with event time before `before`."""
    found = connection.execute(
        select(LABELS.c.place).where(
            LABELS.c.model == model, LABELS.c.label.is_not(None), LABELS.c.event_time < before
        )
    ).first()
    return found is not None


def newest_label(connection: Connection, model: str) -> str | None:
    """The event time of the model's newest labelled row; None without one."""
    newest: str | None = connection.execute(
        select(func.max(LABELS.c.event_time)).where(
            LABELS.c.model == model, LABELS.c.label.is_not(None)
        )
    ).scalar()
    return newest


def erased_places(entries: Sequence[Recorded]) -> Iterator[tuple[str, list[int]]]:
    """Models and places of events whose data is gone, as many as one statement takes.

    What an erasure names of another model's it does not reach.
    """
    for entry in entries:
        event = cast(PayloadErased, entry.event)
        places = [place_of(position, 0) for position in event.entries]
        places += [place_of(each.position, each.row) for each in event.rows]
        for start in range(0, len(places), _ROWS_PER_DELETE):
            yield event.model, places[start : start + _ROWS_PER_DELETE]


def _labelled(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    outcomes = [entry for entry in entries if isinstance(entry.event, OutcomeRecorded)]
    wanted = {cast(OutcomeRecorded, entry.event).prediction_id for entry in outcomes}
    predictions = past.with_ids(sorted(wanted)) if wanted else {}
    targets = _Targets(past, entries)
    rows = []
    values: tuple[object, ...]
    for entry in entries:
        event = entry.event
        if isinstance(event, ObservationRecorded):
            label = event.row.get(targets.at(event.model, entry.position) or "")
            values = (event.identity, entry.occurred_at, _number(label), json_text(event.row), None)
        else:
            assert isinstance(event, OutcomeRecorded)  # noqa: S101 - narrows for the checker
            made = predictions.get(event.prediction_id)
            if made is None or made.position > entry.position:
                continue  # a label of nothing: history happened, no row follows from it
            if not isinstance(made.event, PredictionMade):
                continue  # no prediction, or one whose data was erased
            target = targets.at(event.model, entry.position)
            row = made.event.row | ({target: event.label} if target else {})
            values = (
                made.event.identity,
                made.occurred_at,
                event.label,
                json_text(row),
                event.prediction_id,
            )
        rows.append((entry.place, event.model, *values))
    insert_rows(connection, LABELS, rows)


def _erased(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    """A rebuild comes to the same: it finds neither those rows nor the predictions to label."""
    for model, places in erased_places(entries):
        gone = LABELS.c.place.in_(places)
        unfounded = LABELS.c.prediction_id.in_(past.ids_at(places))
        connection.execute(delete(LABELS).where(LABELS.c.model == model, or_(gone, unfounded)))


def _end(position: int) -> int:
    """The place behind all rows of the entry at `position`."""
    return place_of(position + 1, 0)


class _Targets:
    """The target's column of each model, under the contract in force at each of some entries."""

    def __init__(self, past: Past, entries: Sequence[Recorded]) -> None:
        self._past = past
        self._first, self._last = entries[0].position, entries[-1].position
        self._known: dict[str, list[tuple[int, str]]] = {}  # model -> (since, column), newest first

    def at(self, model: str, position: int) -> str | None:
        """The column at `position`; None for a model that was unknown then."""
        if model not in self._known:
            self._known[model] = list(self._adopted(model))
        return next((name for since, name in self._known[model] if since < position), None)

    def _adopted(self, model: str) -> Iterator[tuple[int, str]]:
        stream = model_stream(model)
        for entry in self._past.newest_first(stream, ContractAdopted, self._last):
            contract = cast(ContractAdopted, entry.event).contract
            yield entry.position, contract.get("target", {}).get("name", "")
            if entry.position < self._first:
                return


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


APPLY: Final = {
    ObservationRecorded: _labelled,
    OutcomeRecorded: _labelled,
    PayloadErased: _erased,
}
