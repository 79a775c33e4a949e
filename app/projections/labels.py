"""The labelled rows: observations, and outcomes with the row of the prediction they label.

A later label for the same identity is a correction: it wins by its place, and is no new sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import orjson
from sqlalchemy import Connection, func, select

from app.ledger.past import Past
from app.ledger.streams import model_stream
from app.projections.read_model import ROWS_METADATA, json_text, table_of
from domain.blocks.ids import end_of
from domain.events.envelope import Recorded
from domain.events.events import (
    ContractAdopted,
    ObservationRecorded,
    OutcomeRecorded,
    PredictionMade,
    Row,
)

_FETCHED_AT_ONCE: Final = 1_000


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


LabelValues: TypeAlias = tuple[int, str, str, str, float | None, str, str | None]
LABELS: Final = table_of(
    Label,
    "labels",
    number=3,
    metadata=ROWS_METADATA,
    key="place",
    indexes=[("model", "identity", "place"), ("model", "event_time")],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRow:
    """One row identity with its label in force."""

    identity: str
    event_time: str
    label: float  # target's unit
    row: Row  # features and other columns, and the label
    place: int  # of the label in force, see `Recorded.place`
    first_place: int  # where the identity was first labelled
    labels: int  # how many it was given; all but the last were corrected


def labelled_rows(
    connection: Connection, model: str, *, before: str, up_to: int
) -> tuple[LabelledRow, ...]:
    """All that `each_labelled` gives."""
    return tuple(each_labelled(connection, model, before=before, up_to=up_to))


def each_labelled(
    connection: Connection, model: str, *, before: str, up_to: int, since: str = ""
) -> Iterator[LabelledRow]:
    """Rows with event time before `before`, as labelled up to a position: by event time, identity.

    The latest label per identity. `since`: no earlier event time.
    """
    of_identity = (
        select(
            func.max(LABELS.c.place).label("last"),
            func.min(LABELS.c.place).label("first"),
            func.count().label("labels"),
        )
        .where(LABELS.c.model == model, LABELS.c.place < end_of(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
        .subquery()
    )
    rows = connection.execute(
        select(LABELS, of_identity.c.first, of_identity.c.labels)
        .join(of_identity, LABELS.c.place == of_identity.c.last)
        .where(LABELS.c.event_time < before, LABELS.c.event_time >= since)
        .order_by(LABELS.c.event_time, LABELS.c.identity)
        .execution_options(yield_per=_FETCHED_AT_ONCE)
    )
    for row in rows:
        yield LabelledRow(
            identity=row.identity,
            event_time=row.event_time,
            label=row.label,
            row=orjson.loads(row.row),
            place=row.place,
            first_place=row.first,
            labels=row.labels,
        )


def labelled_identities(
    connection: Connection, model: str, *, before: str, up_to: int
) -> Iterator[str]:
    """The rows that `labelled_rows` gives for the same, in any order."""
    last = (
        select(func.max(LABELS.c.place))
        .where(LABELS.c.model == model, LABELS.c.place < end_of(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity)
    )
    found = select(LABELS.c.identity).where(LABELS.c.place.in_(last), LABELS.c.event_time < before)
    yield from connection.execute(found.execution_options(yield_per=_FETCHED_AT_ONCE)).scalars()


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


def told_labels(past: Past, entries: Sequence[Recorded]) -> list[LabelValues]:
    """The rows of `LABELS` that follow from these observations and outcomes."""
    outcomes = [entry for entry in entries if isinstance(entry.event, OutcomeRecorded)]
    wanted = {cast(OutcomeRecorded, entry.event).prediction_id for entry in outcomes}
    predictions = past.with_ids(sorted(wanted)) if wanted else {}
    targets = _Targets(past, entries)
    rows: list[LabelValues] = []
    for entry in entries:
        event, at, place = entry.event, entry.position, entry.place
        if isinstance(event, ObservationRecorded):
            label = _number(event.row.get(targets.at(event.model, at) or ""))
            told = json_text(event.row)
            rows.append((place, event.model, event.identity, entry.occurred_at, label, told, None))
        else:
            assert isinstance(event, OutcomeRecorded)  # noqa: S101 - narrows for the checker
            made = predictions.get(event.prediction_id)
            if made is None or made.position > at:
                continue  # a label of nothing: history happened, no row follows from it
            if not isinstance(made.event, PredictionMade):
                continue  # no prediction, or one whose data was erased
            target, row = targets.at(event.model, at), made.event.row
            told = json_text(row | ({target: event.label} if target else {}))
            of = (made.event.identity, made.occurred_at)
            rows.append((place, event.model, *of, event.label, told, event.prediction_id))
    return rows


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
