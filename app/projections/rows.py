"""What came in, row by row: predictions, labels, and how many rows wait for one, folded together.

The counts follow from both tables, which may therefore not be ahead of one another: all three are
one read model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Final, cast

import orjson
from sqlalchemy import Connection, and_, delete, or_, select, union

from app.database.engine import driver_name, fetch, insert_rows
from app.ledger.past import Past
from app.projections.label_days import LABEL_DAYS, UNKNOWN, Row, Stand, day_of, recount
from app.projections.labels import LABELS, told_labels
from app.projections.predictions import PREDICTIONS, insert_predictions
from app.projections.read_model import ReadModel
from domain.blocks.ids import place_of
from domain.events.envelope import Recorded
from domain.events.events import (
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
    PredictionMade,
)

_PLACES_PER_STATEMENT: Final = 500
# In the drivers' own words: one statement however many rows, and building it costs more.
_STAND: Final = (
    "SELECT identity, place, model_version, event_time FROM {predictions}"
    " WHERE model = {mark} AND identity {among}"
    " UNION ALL SELECT identity, place, NULL, event_time FROM {labels}"
    " WHERE model = {mark} AND identity {among} AND label IS NOT NULL"
)
_STAND_SQLITE: Final = _STAND.format(
    predictions=PREDICTIONS.name,
    labels=LABELS.name,
    mark="?",
    among="IN (SELECT value FROM json_each(?))",
)
_STAND_POSTGRESQL: Final = _STAND.format(
    predictions=driver_name(PREDICTIONS, "postgresql"),
    labels=driver_name(LABELS, "postgresql"),
    mark="%s",
    among="= ANY(%s)",
)


def _predicted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    made = [(cast(PredictionMade, entry.event), entry.occurred_at) for entry in entries]
    stood = _standing(connection, ((event.model, event.identity) for event, _ in made))
    insert_predictions(connection, entries)
    stands = dict(stood)
    for event, event_time in made:
        row = (event.model, event.identity)
        before = stands.get(row, UNKNOWN)
        days = {**before.days, event.model_version: day_of(event_time)}
        stands[row] = Stand(before.labelled, days)
    recount(connection, stood, stands)


def _labelled(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    told = told_labels(past, entries)
    labelled = [(model, identity) for _, model, identity, _, label, *_ in told if label is not None]
    stood = _standing(connection, labelled)
    insert_rows(connection, LABELS, told)
    recount(connection, stood, {row: Stand(True, stand.days) for row, stand in stood.items()})


def _erased(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    """A rebuild comes to the same: it finds neither those rows nor the predictions to label."""
    for model, places in _named(entries):
        identities = _identities_at(connection, model, places)
        touched = [(model, identity) for identity in identities]
        stood = _standing(connection, touched)
        predicted, labels = PREDICTIONS.c, LABELS.c
        gone = and_(predicted.model == model, predicted.place.in_(places))
        connection.execute(delete(PREDICTIONS).where(gone))
        of_gone = and_(
            labels.identity.in_(identities), labels.prediction_id.in_(past.ids_at(places))
        )
        lost = and_(labels.model == model, or_(labels.place.in_(places), of_gone))
        connection.execute(delete(LABELS).where(lost))
        recount(connection, stood, _standing(connection, touched))


def _named(entries: Sequence[Recorded]) -> Iterator[tuple[str, list[int]]]:
    """Models and places of events whose data is gone, as many as one statement takes.

    What an erasure names of another model's it does not reach.
    """
    for entry in entries:
        event = cast(PayloadErased, entry.event)
        places = [place_of(position, 0) for position in event.entries]
        places += [place_of(each.position, each.row) for each in event.rows]
        for start in range(0, len(places), _PLACES_PER_STATEMENT):
            yield event.model, places[start : start + _PLACES_PER_STATEMENT]


def _identities_at(connection: Connection, model: str, places: Sequence[int]) -> list[str]:
    """The model's rows that what stands at these places is about, as far as they are kept."""
    found = union(
        *(
            select(table.c.identity).where(table.c.model == model, table.c.place.in_(places))
            for table in (PREDICTIONS, LABELS)
        )
    )
    return list(connection.execute(found).scalars())


def _standing(connection: Connection, rows: Iterable[Row]) -> dict[Row, Stand]:
    """How those of `rows` stand that were predicted, or labelled."""
    wanted: dict[str, set[str]] = {}
    for model, identity in rows:
        wanted.setdefault(model, set()).add(identity)
    found: dict[Row, Stand] = {}
    for model, identities in wanted.items():
        said = _said_of(connection, model, list(identities))
        for identity, _, version, event_time in sorted(said, key=itemgetter(1)):
            stand = found.setdefault((model, identity), Stand(False, {}))
            if version is None:
                found[model, identity] = Stand(True, stand.days)
            else:
                stand.days[version] = day_of(event_time)
    return found


def _said_of(
    connection: Connection, model: str, identities: list[str]
) -> list[tuple[str, int, str | None, str]]:
    """Identity, place, version (None: a label) and event time of what is kept of these rows."""
    values: tuple[object, ...]
    if connection.dialect.name == "sqlite":
        values = (model, orjson.dumps(identities).decode())
        statement = _STAND_SQLITE
    else:
        values, statement = (model, identities), _STAND_POSTGRESQL
    return cast(
        list[tuple[str, int, str | None, str]], fetch(connection, statement, (*values, *values))
    )


ROWS: Final = ReadModel(
    PREDICTIONS,
    {
        PredictionMade: _predicted,
        ObservationRecorded: _labelled,
        OutcomeRecorded: _labelled,
        PayloadErased: _erased,
    },
    beside=(LABELS, LABEL_DAYS),
)
