"""The predictions that were answered: where they stand, found by the row that each is of.

What was asked and answered stands in the ledger. Nothing here names a row to whoever does not know
it, and each takes some fifty bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import repeat
from typing import Final, NamedTuple, cast

import numpy as np
from sqlalchemy import Connection

from app.ledger.blocks import places_of
from app.ledger.past import Past
from app.projections.asked_rows import AskedRows
from app.projections.read_model import ROWS_METADATA, table_of, unfit
from app.projections.row_values import events_at, predictions_at
from domain.blocks.ids import ids_of_rows, place_of
from domain.events.block_events import PredictionsMade
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, Row
from domain.events.row_cells import answered_together
from domain.identities import digests_of_rows
from domain.packed import Whole

_DAY: Final = len("1976-07-01")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrediction:
    """One prediction of one row."""

    identity_digest: bytes  # see `row_digest`
    version: str  # who answered, without the model's name before it: '/12'
    place: int  # see `Recorded.place`
    day: int  # of the row's event time, UTC; 1 is 0001-01-01


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePrediction:
    """One prediction as recorded."""

    id: str
    identity: str
    event_time: str  # of the row
    row: Row  # as accepted, without label


PREDICTIONS: Final = table_of(
    StoredPrediction,
    "predictions",
    number=4,
    metadata=ROWS_METADATA,
    key=("identity_digest", "version", "place"),
)


# The versions of each row are found one after another, and the last prediction of each.
_LAST: Final = AskedRows(
    ", answered(digest, version) AS ("
    " SELECT digest, (SELECT min(version) FROM {predictions} WHERE identity_digest = digest)"
    " FROM asked UNION ALL"
    " SELECT digest, (SELECT min(later.version) FROM {predictions} AS later"
    " WHERE later.identity_digest = digest AND later.version > answered.version)"
    " FROM answered WHERE answered.version IS NOT NULL)"
    " SELECT last.identity_digest, last.version, last.place, last.day"
    " FROM answered JOIN {predictions} AS last ON last.identity_digest = answered.digest"
    " AND last.version = answered.version AND last.place = ("
    " SELECT max(each.place) FROM {predictions} AS each"
    " WHERE each.identity_digest = answered.digest AND each.version = answered.version)",
    first="RECURSIVE",
    predictions=PREDICTIONS,
)


def last_of_each_version(
    connection: Connection, digests: Sequence[bytes]
) -> Iterator[tuple[bytes, str, int, int]]:
    """Digest, version, place and day of the last prediction by each version of each of these rows.

    Raises:
        ReadModelUnfit: a version is none.
    """
    for digest, version, place, day in _LAST(connection, digests):
        if not isinstance(version, str) or type(place) is not int:
            raise unfit("version", "a prediction")
        yield digest, version, place, day


def find_predictions(
    connection: Connection, model: str, ids: Sequence[str]
) -> dict[str, MadePrediction]:
    """The model's predictions with those of `ids` that it made, by id, as the ledger says."""
    return {
        id: _as_made(made, made.event)
        for id, made in Past(connection).with_ids(ids).items()
        if isinstance(made.event, PredictionMade) and made.event.model == model
    }


def latest_predictions(
    connection: Connection, model: str, identities: Sequence[str]
) -> dict[str, MadePrediction]:
    """The model's last prediction of each of those rows that it made one of, by identity."""
    found = {}
    for made in events_at(connection, _last_places(connection, model, identities)):
        event = cast(PredictionMade, made.event)
        found[event.identity] = _as_made(made, event)
    return found


class PredictionName(NamedTuple):
    """A prediction without what was asked and answered."""

    id: str
    identity: str
    event_time: str  # of the row


def names_with_ids(
    connection: Connection, model: str, ids: Sequence[str]
) -> dict[str, PredictionName]:
    """As `find_predictions`, of rows of many alone, and without what they hold.

    Raises:
        ReadModelUnfit: one of `ids` is another event's.
    """
    places = sorted(place_of(*found) for found in places_of(connection, ids).values())
    named = _names_at(connection, model, np.array(places, np.int64))
    return {each.id: each for each in named}


def latest_names(
    connection: Connection, model: str, identities: Sequence[str]
) -> dict[str, PredictionName]:
    """As `latest_predictions`, without what the rows hold."""
    named = _names_at(connection, model, _last_places(connection, model, identities))
    return {each.identity: each for each in named}


def _names_at(connection: Connection, model: str, places: Whole) -> Iterator[PredictionName]:
    for entry, rows, names in predictions_at(connection, places):
        if cast(PredictionMade | PredictionsMade, entry.event).model == model:
            ids = [entry.id] if entry.rows_apart is None else ids_of_rows(entry.id, rows)
            for id, (identity, event_time) in zip(ids, names, strict=True):
                yield PredictionName(id, identity, event_time)


def _last_places(connection: Connection, model: str, identities: Sequence[str]) -> Whole:
    """Where the last prediction of each of those rows stands that there is one of; they ascend."""
    last: dict[bytes, int] = {}
    for digest, _, place, _ in last_of_each_version(connection, digests_of_rows(model, identities)):
        last[digest] = max(place, last.get(digest, place))
    return np.array(sorted(last.values()), np.int64)


def predicted_identities(connection: Connection, asked: Mapping[bytes, str]) -> frozenset[str]:
    """Those of some identities that there is a prediction of.

    `asked`: the digest of each (`row_digest`) -> it.
    """
    return frozenset(asked[digest] for digest, *_ in last_of_each_version(connection, [*asked]))


class Predictions(NamedTuple):
    """Predictions by one version that follow one another, as they are folded, by columns."""

    model: str
    model_version: str
    places: Sequence[int]
    digests: Sequence[bytes]  # `row_digest` of each row
    event_times: Sequence[str]

    @property
    def days(self) -> list[str]:
        """The day of each row's event time, UTC: `1976-07-01`."""
        return [time[:_DAY] for time in self.event_times]

    def stored(self) -> Iterator[tuple[bytes, str, int, int]]:
        """The rows of `PREDICTIONS`."""
        version = self.model_version.removeprefix(self.model)
        days = map(number_of_day, self.days)
        return zip(self.digests, repeat(version), self.places, days)


def predictions_in(entries: Iterable[Recorded]) -> Iterator[Predictions]:
    """The predictions that these entries made, in their order; nothing of what has none left.

    Those of entries of one row come together, as far as one version made them one after another.
    """
    for alone, (model, version), some in _runs(entries):
        if alone:
            events = [cast(PredictionMade, each.event) for each in some]
            places: Sequence[int] = [each.place for each in some]
            identities: Sequence[str] = [event.identity for event in events]
            event_times: Sequence[str] = [each.occurred_at for each in some]
        else:
            places, identities, event_times, _ = answered_together(some[0])
        if places:
            digests = digests_of_rows(model, identities)
            yield Predictions(model, version, places, digests, event_times)


def _runs(
    entries: Iterable[Recorded],
) -> Iterator[tuple[bool, tuple[str, str], Sequence[Recorded]]]:
    """Whether entries have one row each, who made their predictions, and they; of many one."""
    run: list[Recorded] = []
    by: tuple[str, str] = ("", "")
    for entry in entries:
        event = cast(PredictionMade | PredictionsMade, entry.event)
        alone, of = type(event) is PredictionMade, (event.model, event.model_version)
        if run and (not alone or of != by):
            yield True, by, run
            run = []
        if alone:
            run.append(entry)
            by = of
        else:
            yield False, of, (entry,)
    if run:
        yield True, by, run


@lru_cache(maxsize=4096)
def number_of_day(day: str) -> int:
    """The number of a day: 1 is 0001-01-01."""
    return date.fromisoformat(day).toordinal()


@lru_cache(maxsize=4096)
def day_with_number(number: int) -> str:
    """The day of this number, `1976-07-01`. Raises ValueError: there is none."""
    return date.fromordinal(number).isoformat()


def _as_made(made: Recorded, event: PredictionMade) -> MadePrediction:
    return MadePrediction(
        id=made.id,
        identity=event.identity,
        event_time=made.occurred_at,
        row=event.row,
    )
