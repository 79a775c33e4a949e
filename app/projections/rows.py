"""What came in, row by row: predictions, labels, and how many rows wait for one, folded together.

The counts follow from both tables, which may therefore not be ahead of one another: all four are
one read model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, cast

from sqlalchemy import Column, Connection, LargeBinary, Table, delete, or_, select, tuple_

from app.database.engine import insert_rows
from app.ledger.erasures import models_of_rows
from app.ledger.past import Past
from app.ledger.tables import POSITION
from app.projections.answered_rows import answered_in_zone
from app.projections.asked_rows import AskedRows
from app.projections.label_days import LABEL_DAYS, ModelVersion, Standing, recount
from app.projections.labels import LABELS, told_labels
from app.projections.predictions import (
    PREDICTIONS,
    day_with_number,
    last_of_each_version,
    predictions_in,
)
from app.projections.read_model import ROWS_METADATA, ReadModel, unfit
from app.projections.zones import ZONES, add_to_zones, write_zone, zone_of
from domain.blocks.ids import place_of, position_of
from domain.events.block_events import ObservationsRecorded, OutcomesRecorded, PredictionsMade
from domain.events.envelope import Recorded
from domain.events.events import (
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
    PredictionMade,
)

_PLACES_PER_STATEMENT: Final = 500
_DIGEST: Final = 2  # where the digest stands in a row of `LABELS`
_LABELLED: Final = AskedRows(
    " SELECT digest FROM asked WHERE EXISTS"
    " (SELECT 1 FROM {labels} WHERE identity_digest = digest AND label IS NOT NULL)",
    labels=LABELS,
)
_TABLES: Final = (PREDICTIONS, ZONES, LABELS, LABEL_DAYS)
VERSION: Final = ".".join(str(table.name).rpartition("_")[2] for table in _TABLES)
# The last entry folded, and what its leaf hash was.
STATE: Final = Table(
    f"rows_state_{VERSION.replace('.', '_')}",
    ROWS_METADATA,
    Column("position", POSITION, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)


def _predicted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    made = list(predictions_in(entries))
    models: dict[bytes, str] = {}
    counted: dict[ModelVersion, dict[bytes, str]] = {}  # a row predicted again: its last day
    for each in made:
        models.update(dict.fromkeys(each.digests, each.model))
        days = zip(each.digests, each.days, strict=True)
        counted.setdefault((each.model, each.model_version), {}).update(days)
    stood = _standing(connection, models)
    # By digest, as they are kept: so an index of many pages is walked through once.
    insert_rows(connection, PREDICTIONS, sorted(row for each in made for row in each.stored()))
    before = stood.days
    stands = {version: {**before.get(version, {}), **days} for version, days in counted.items()}
    recount(connection, stood, Standing(stood.labelled, {**before, **stands}))
    add_to_zones(connection, made)


def _labelled(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    told = told_labels(past, entries)
    labelled = {digest: model for _, model, digest, _, _, label, _ in told if label is not None}
    stood = _standing(connection, labelled)
    insert_rows(connection, LABELS, sorted(told, key=itemgetter(_DIGEST)))
    recount(connection, stood, Standing(labelled.keys(), stood.days))


def _erased(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    """A rebuild comes to the same: it finds neither those rows nor the predictions to label."""
    zones: set[tuple[str, int]] = set()
    for model, places in _named(past, entries):
        keys = _keys_at(connection, places)
        labels = LABELS.c
        lost = or_(labels.place.in_(places), labels.of_place.in_(places))
        of_labels = select(labels.identity_digest).where(lost).distinct()
        digests = {*connection.execute(of_labels).scalars(), *(digest for digest, _, _ in keys)}
        touched = dict.fromkeys(digests, model)
        stood = _standing(connection, touched)
        key = tuple_(*PREDICTIONS.primary_key.columns)
        connection.execute(delete(PREDICTIONS).where(key.in_(keys)))
        connection.execute(delete(LABELS).where(lost))
        recount(connection, stood, _standing(connection, touched))
        zones.update((model, zone_of(position_of(place))) for _, _, place in keys)
    for model, zone in sorted(zones):
        rest = answered_in_zone(past.connection, model, zone, entries[-1].position)
        write_zone(connection, model, zone, predictions_in(rest))


def _named(past: Past, entries: Sequence[Recorded]) -> Iterator[tuple[str, list[int]]]:
    """Models and places of events whose data is gone, as many as one statement takes.

    What an erasure names of another model's it does not reach.
    """
    for entry in entries:
        event = cast(PayloadErased, entry.event)
        named = [place_of(position, 0) for position in event.entries]
        named += [place_of(each.position, each.row) for each in event.rows]
        models = models_of_rows(past.connection, list({position_of(place) for place in named}))
        places = [place for place in named if models.get(position_of(place)) == event.model]
        for start in range(0, len(places), _PLACES_PER_STATEMENT):
            yield event.model, places[start : start + _PLACES_PER_STATEMENT]


def _keys_at(connection: Connection, places: Sequence[int]) -> list[tuple[bytes, str, int]]:
    """The keys of the predictions at these places, for which all are looked through."""
    found = select(*PREDICTIONS.primary_key.columns).where(PREDICTIONS.c.place.in_(places))
    return [(digest, version, place) for digest, version, place in connection.execute(found)]


def _standing(connection: Connection, models: Mapping[bytes, str]) -> Standing:
    """How rows stand that were predicted, or labelled.

    `models`: the digest of each row (`row_digest`) -> its model.
    """
    labelled = frozenset(digest for (digest,) in _LABELLED(connection, models))
    days: dict[ModelVersion, dict[bytes, str]] = {}
    for digest, version, _, day in last_of_each_version(connection, [*models]):
        model = models[digest]
        days.setdefault((model, model + version), {})[digest] = _day(day)
    return Standing(labelled, days)


def _day(number: Any) -> str:
    try:
        return day_with_number(number)
    except (TypeError, ValueError, OverflowError):
        raise unfit("day", "a prediction") from None


ROWS: Final = ReadModel(
    PREDICTIONS,
    {
        PredictionMade: _predicted,
        PredictionsMade: _predicted,
        ObservationRecorded: _labelled,
        ObservationsRecorded: _labelled,
        OutcomeRecorded: _labelled,
        OutcomesRecorded: _labelled,
        PayloadErased: _erased,
    },
    beside=_TABLES[1:],
    kept_with=(STATE,),
)
