"""The labelled rows themselves: where a label stands, and what the ledger says of its row.

An observation is its own row. The row of an outcome is that of the prediction it labels, with the
label under the name that the target had then.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Final, cast

import numpy as np
import orjson
from sqlalchemy import Connection, func, select

from app.ledger.past import Past
from app.projections.asked_rows import AskedRows
from app.projections.kept_columns import Columns, Page
from app.projections.labels import LABELS, Targets
from app.projections.labels_in_force import number
from app.projections.read_model import unfit
from app.projections.row_values import events_at, in_ledger_order
from domain.blocks.ids import end_of, position_of
from domain.blocks.layouts import in_canonical_order
from domain.canonical import canonical_bytes
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, PredictionMade, Row
from domain.packed import Packed, Packing, Whole

_FETCHED_AT_ONCE: Final = 1_000
_ROWS_AT_ONCE: Final = 1_000  # that are objects at a time
_LATEST: Final = AskedRows(
    " SELECT (SELECT max(place) FROM {labels} WHERE identity_digest = digest) FROM asked",
    labels=LABELS,
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
    """All that `each_labelled` gives, by event time and identity."""
    found = each_labelled(connection, model, before=before, up_to=up_to)
    return tuple(sorted(found, key=attrgetter("event_time", "identity")))


def each_labelled(
    connection: Connection, model: str, *, before: str, up_to: int, since: str = ""
) -> Iterator[LabelledRow]:
    """Rows with event time before `before`, as labelled up to a position: in the ledger's order.

    The latest label per identity. `since`: no earlier event time.
    """
    of_identity = (
        select(
            func.max(LABELS.c.place).label("last"),
            func.min(LABELS.c.place).label("first"),
            func.count().label("labels"),
        )
        .where(LABELS.c.model == model, LABELS.c.place < end_of(up_to), LABELS.c.label.is_not(None))
        .group_by(LABELS.c.identity_digest)
        .subquery()
    )
    rows = connection.execute(
        select(LABELS.c.place, of_identity.c.first, of_identity.c.labels)
        .join(of_identity, LABELS.c.place == of_identity.c.last)
        .where(LABELS.c.event_time < before, LABELS.c.event_time >= since)
        .order_by(LABELS.c.place)
        .execution_options(yield_per=_FETCHED_AT_ONCE)
    )
    places, first, given = array("q"), array("q"), array("q")
    for place, first_place, often in rows:
        places.append(place)
        first.append(first_place)
        given.append(often)
    labels = _Labels(connection, np.frombuffer(places, np.int64))
    for index, row_event, row in labels.rows():
        yield LabelledRow(
            identity=cast(PredictionMade, row_event.event).identity,
            event_time=row_event.occurred_at,
            label=labels.label(index),
            row=row,
            place=places[index],
            first_place=first[index],
            labels=given[index],
        )


def latest_rows(connection: Connection, digests: Collection[bytes]) -> dict[str, Row]:
    """Row identity -> its labelled row in force, for those with these digests that have one.

    What an upload is compared with.
    """
    latest = sorted(place for (place,) in _LATEST(connection, digests) if place is not None)
    places = np.array(latest, np.int64)
    return {
        cast(PredictionMade, event.event).identity: row
        for _, event, row in _Labels(connection, places).rows()
    }


def label_columns(
    connect: Callable[[], AbstractContextManager[Connection]],
    places: Whole,
    names: Sequence[str],
) -> Columns:
    """These columns of the labelled rows at these places, read together when the first of them is
    asked for."""

    def read(connection: Connection, some: Sequence[str], keep: Callable[[Page], None]) -> Whole:
        order = array("q")
        for indices, rows in _Labels(connection, places).pages():
            order.extend(indices)
            keep([[row.get(name) for row in rows] for name in some])
        return np.argsort(np.frombuffer(order, np.int64))

    return Columns(connect, read, len(places), names)


def columns_as_sent(connection: Connection, places: Whole) -> dict[str, Packed]:
    """The columns of the labelled rows at these places as they came in, in their order.

    All that one of the rows has.
    """
    columns: dict[str, Packing] = {}
    order = array("q")
    for indices, rows in _Labels(connection, places).pages():
        order.extend(indices)
        _gather(columns, rows, len(order))
    back = np.argsort(np.frombuffer(order, np.int64))  # where each of them stands as it was read
    return {name: packing.packed().taken(back) for name, packing in columns.items()}


class _Labels:
    """Some labels, and their rows as the ledger has them."""

    def __init__(self, connection: Connection, places: Whole) -> None:
        self._connection, self._places = connection, places
        of_places, labels = array("q"), array("d")
        for page in _pages(connection, places):
            for of_place, label in page:
                of_places.append(-1 if of_place is None else of_place)
                labels.append(np.nan if label is None else number(label))
        self._of_places, self._labels = np.frombuffer(of_places, np.int64), labels

    def label(self, index: int) -> float:
        """The label of one of them; NaN where its row lacks it."""
        return self._labels[index]

    def pages(self) -> Iterator[tuple[list[int], list[Row]]]:
        """The same without the events, some at a time."""
        given = ((index, row) for index, _, row in self.rows())
        while page := list(islice(given, _ROWS_AT_ONCE)):
            yield [index for index, _ in page], [row for _, row in page]

    def rows(self) -> Iterator[tuple[int, Recorded, Row]]:
        """Of each its index, the event that its row stands in, and the row: in ledger order."""
        if not len(self._places):
            return
        stands = np.where(self._of_places < 0, self._places, self._of_places)
        order, _ = in_ledger_order(stands)
        first, last = (position_of(int(each)) for each in (self._places.min(), self._places.max()))
        targets = Targets(Past(self._connection), first, last)
        events = events_at(self._connection, stands[order])
        for index, found in zip(order.tolist(), events, strict=True):
            event = found.event
            if not isinstance(event, ObservationRecorded | PredictionMade):
                raise unfit("of_place", "a label")
            row = event.row
            if self._of_places[index] >= 0:
                at = position_of(int(self._places[index]))
                row = _with_label(row, targets.at(event.model, at), self._labels[index])
            yield index, found, row


def _pages(connection: Connection, places: Whole) -> Iterator[list[tuple[int | None, object]]]:
    """What is labelled, and the label, of those at these places, in their order, some at a time.

    Raises:
        ReadModelUnfit: one of them is not there.
    """
    asked = select(LABELS.c.place, LABELS.c.of_place, LABELS.c.label)
    for start in range(0, len(places), _ROWS_AT_ONCE):
        page = places[start : start + _ROWS_AT_ONCE].tolist()
        found = {
            row[0]: (row[1], row[2])
            for row in connection.execute(asked.where(LABELS.c.place.in_(page)))
        }
        if len(found) < len(page):
            raise unfit("place", str(LABELS.name))
        yield [found[place] for place in page]


def _with_label(row: Row, target: str | None, label: float) -> Row:
    """The row of a prediction with its label, as one that came in with it would stand there."""
    if not target:
        return row
    whole: Row = row | {target: orjson.loads(canonical_bytes(label))}
    return {name: whole[name] for name in in_canonical_order(whole)}


def _gather(columns: dict[str, Packing], page: Sequence[Row], read: int) -> None:
    for name in dict.fromkeys(name for row in page for name in row):
        if name not in columns:
            columns[name] = Packing()
            columns[name].add_missing(read - len(page))
    for name, packing in columns.items():
        packing.add([row.get(name) for row in page])
