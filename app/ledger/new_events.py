"""What somebody wants in the ledger: events, or rows that share an entry, for each stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeVar

from domain.blocks.ids import RowKeys, prediction_ids
from domain.events.events import Event, ObservationRecorded, OutcomeRecorded, Row, RowColumns

SAID_BY_ID: Final = b""  # a digest that need not be kept: whoever has the id sent the same
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event that somebody wants in the ledger."""

    event: Event
    id: str  # UUID; UUIDv7 of ours, or UUIDv5 of what the client said
    occurred_at: str
    request_digest: bytes | None = None  # SHA-256 of what the client sent, 32 bytes; or SAID_BY_ID
    personal: bool = False  # a row's event about a person: its data is kept apart, to be erasable
    keys: RowKeys | None = None  # of a row's event that may share an entry with others


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """Rows of one request that somebody wants in the ledger: where they are two, in one entry.

    They are given by columns, for to make an event of each takes as long as all that is done with
    them. The answer to each is the entry that they share.
    """

    model: str
    ids: Sequence[str]  # of the event that each of them is; no two the same
    identities: Sequence[str]
    occurred_at: Sequence[str]
    keys: RowKeys
    personal: bool

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPredictions(NewRows):
    """Each a `PredictionMade`: two at least."""

    first: str  # the id of the first one's event; those of the others count on from it
    ids: Sequence[str] = field(init=False)
    model_version: str
    plan_sha256: str
    request_id: str | None
    columns: RowColumns  # of the rows that were asked
    predictions: Sequence[float]  # target's unit
    unknown_categories: Sequence[tuple[str, ...]]
    request_digest: bytes | None  # as `NewEvent.request_digest`

    def __post_init__(self) -> None:
        """Make the ids that follow."""
        object.__setattr__(self, "ids", prediction_ids(self.first, len(self.identities)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSent(NewRows, ABC):
    """What one client sent: each has a source and an id there, and its own id is made of both."""

    source: str  # of all of them
    source_ids: Sequence[str]
    digests: Sequence[bytes] | None  # of each, as `NewEvent.request_digest`; None: `SAID_BY_ID`

    @abstractmethod
    def event(self, index: int) -> NewEvent:
        """One of them, as an event of its own."""

    @abstractmethod
    def only(self, indexes: Sequence[int]) -> Self:
        """Some of them, in this order."""

    def _new(self, index: int, event: ObservationRecorded | OutcomeRecorded) -> NewEvent:
        return NewEvent(
            event=event,
            id=self.ids[index],
            occurred_at=self.occurred_at[index],
            request_digest=SAID_BY_ID if self.digests is None else self.digests[index],
            personal=self.personal,
            keys=self.keys,
        )

    def _some(self, indexes: Sequence[int]) -> dict[str, Any]:
        return {
            "source_ids": _at(self.source_ids, indexes),
            "ids": _at(self.ids, indexes),
            "identities": _at(self.identities, indexes),
            "occurred_at": _at(self.occurred_at, indexes),
            "digests": None if self.digests is None else _at(self.digests, indexes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NewObservations(NewSent):
    """Each an `ObservationRecorded`."""

    columns: RowColumns

    def row(self, index: int) -> Row:
        """One of the rows."""
        return {name: column[index] for name, column in self.columns.items()}

    def event(self, index: int) -> NewEvent:
        """As `NewSent.event`."""
        event = ObservationRecorded(
            model=self.model,
            source=self.source,
            source_id=self.source_ids[index],
            identity=self.identities[index],
            row=self.row(index),
            extensions={},
        )
        return self._new(index, event)

    def only(self, indexes: Sequence[int]) -> NewObservations:
        """As `NewSent.only`."""
        columns = {name: _at(column, indexes) for name, column in self.columns.items()}
        return replace(self, **self._some(indexes), columns=columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOutcomes(NewSent):
    """Each an `OutcomeRecorded`."""

    prediction_ids: Sequence[str]
    labels: Sequence[float]  # target's unit

    def event(self, index: int) -> NewEvent:
        """As `NewSent.event`."""
        event = OutcomeRecorded(
            model=self.model,
            source=self.source,
            source_id=self.source_ids[index],
            prediction_id=self.prediction_ids[index],
            identity=self.identities[index],
            label=self.labels[index],
            extensions={},
        )
        return self._new(index, event)

    def only(self, indexes: Sequence[int]) -> NewOutcomes:
        """As `NewSent.only`."""
        prediction_ids = _at(self.prediction_ids, indexes)
        labels = _at(self.labels, indexes)
        return replace(self, **self._some(indexes), prediction_ids=prediction_ids, labels=labels)


def _at(values: Sequence[_Item], indexes: Sequence[int]) -> list[_Item]:
    return [values[index] for index in indexes]


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Events for one stream.

    `expected_version` is the stream's version the decision was made on; -1: it must not exist yet;
    None: whatever it is.
    """

    stream: str
    events: tuple[NewEvent | NewPredictions | NewSent, ...]
    expected_version: int | None

    @property
    def ids(self) -> tuple[str, ...]:
        """Of all the events, in order."""
        return tuple(
            id
            for each in self.events
            for id in (each.ids if isinstance(each, NewRows) else (each.id,))
        )
