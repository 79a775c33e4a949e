"""The predictions that were answered: where they stand, found by the row that each is of.

What was asked and answered stands in the ledger. Nothing here names a row to whoever does not know
it, and each takes some fifty bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple, cast

import numpy as np
from sqlalchemy import Connection, func, select

from app.ledger.past import Past
from app.projections.read_model import ROWS_METADATA, table_of
from app.projections.row_values import events_at
from domain.events.block_events import PredictionsMade
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, Row
from domain.events.row_cells import answered_rows
from domain.identities import row_digest

_DAY: Final = len("1976-07-01")
_IDS_PER_STATEMENT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrediction:
    """One prediction of one row."""

    identity_digest: bytes  # see `row_digest`
    place: int  # see `Recorded.place`
    version: str  # who answered, without the model's name before it: '/12'
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
    key=("identity_digest", "place"),
)


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
    predicted = PREDICTIONS.c
    for start in range(0, len(identities), _IDS_PER_STATEMENT):
        some = [row_digest(model, each) for each in identities[start : start + _IDS_PER_STATEMENT]]
        last = (
            select(func.max(predicted.place).label("place"))
            .where(predicted.identity_digest.in_(some))
            .group_by(predicted.identity_digest)
            .order_by("place")
        )
        places = np.array(connection.execute(last).scalars().all(), np.int64)
        for made in events_at(connection, places):
            event = cast(PredictionMade, made.event)
            found[event.identity] = _as_made(made, event)
    return found


def predicted_identities(
    connection: Connection, model: str, identities: Sequence[str]
) -> frozenset[str]:
    """Those of `identities` that the model made a prediction of."""
    digests = {row_digest(model, each): each for each in identities}
    column = PREDICTIONS.c.identity_digest
    found = connection.execute(select(column).where(column.in_(list(digests))).distinct())
    return frozenset(digests[digest] for digest in found.scalars())


class Prediction(NamedTuple):
    """One prediction as it is folded."""

    row: tuple[str, bytes]  # model, and the digest of the identity
    model_version: str
    place: int
    event_time: str

    @property
    def day(self) -> str:
        """The day of the row's event time, UTC: `1976-07-01`."""
        return self.event_time[:_DAY]

    def stored(self) -> tuple[bytes, int, str, int]:
        """The row of `PREDICTIONS`."""
        model, digest = self.row
        version = self.model_version.removeprefix(model)
        return digest, self.place, version, number_of_day(self.day)


def predictions_in(entries: Iterable[Recorded]) -> Iterator[Prediction]:
    """The predictions that these entries made, those of many rows, too."""
    for entry in entries:
        event = cast(PredictionMade | PredictionsMade, entry.event)
        model, version = event.model, event.model_version
        for place, identity, event_time, _ in answered_rows(entry):
            row = (model, row_digest(model, identity))
            yield Prediction(row, version, place, event_time)


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
