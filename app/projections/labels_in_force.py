"""What a cycle asks of the labels beside the rows it trains on: numbers and counts, no rows.

The label in force of a row is the latest that it was given; the row counts where that one's event
time lies.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    and_,
    func,
    select,
)

from app.projections.asked_rows import AskedRows
from app.projections.labels import LABELS
from app.projections.read_model import by_place, unfit
from app.projections.windows import Window
from domain.blocks.ids import end_of
from domain.identities import Identities, digests_of_rows, each_digest
from domain.packed import Flags, Floats, Whole, times_at

_FETCHED_AT_ONCE: Final = 10_000
_ROWS_AT_ONCE: Final = 1_000
_NO_LABEL: Final = ("", None)
# Of each row the last label that it was given before a place, or the first.
_OF_ROW: Final = (
    " SELECT asked.digest, given.event_time, given.label FROM asked JOIN {{labels}} AS given"
    " ON given.place = (SELECT each.place FROM {{labels}} AS each"
    " WHERE each.identity_digest = asked.digest AND each.place < {{mark}}"
    " AND each.label IS NOT NULL ORDER BY each.place {order} LIMIT 1)"
)
_LAST: Final = AskedRows(_OF_ROW.format(order="DESC"), labels=LABELS)
_FIRST: Final = AskedRows(_OF_ROW.format(order="ASC"), labels=LABELS)


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Rows of a window that have a label in force, and that label, target's unit."""

    window: Window
    labels: Floats

    def only(self, rows: Flags) -> Labelled:
        """Those of them; all of them are themselves, without a copy."""
        if bool(rows.all()):
            return self
        return Labelled(self.window.without(~rows), self.labels[rows])

    def without(self, seen: Identities) -> Labelled:
        """Those of no identity in this set."""
        return self.only(~seen.among_rows(self.window.row_digests))

    def __len__(self) -> int:
        """Rows."""
        return len(self.labels)


def labelled_in(connection: Connection, window: Window, *, before: str, up_to: int) -> Labelled:
    """The rows of the window that have a label in force, in its order.

    Args:
        connection: what is asked.
        window: of predictions.
        before: a label counts whose event time lies before it.
        up_to: a position; no label after it is looked at.
    """
    found = array("d")
    for _, label in dated_labels(connection, window, before=before, up_to=up_to):
        found.append(np.nan if label is None else label)
    labels = np.frombuffer(found, np.float64)
    none = np.isnan(labels)
    return Labelled(window.without(none), labels[~none])


def dated_labels(
    connection: Connection, window: Window, *, before: str, up_to: int
) -> Iterator[tuple[str, float | None]]:
    """The event time of each row of the window, and its label in force; as `labelled_in`."""
    for rows, times in _pages(window):
        last = _given(_LAST, connection, rows, up_to)
        for row, time in zip(rows, times, strict=True):
            told, label = last.get(row, (before, None))
            yield time, label if told < before else None


def first_labels(
    connection: Connection, window: Window, *, up_to: int
) -> Iterator[tuple[str, float | None]]:
    """Event time and first label of the window's rows, in its order.

    What is asked about again and again must not change with a correction.
    """
    for rows, times in _pages(window):
        first = _given(_FIRST, connection, rows, up_to)
        for row, time in zip(rows, times, strict=True):
            yield time, first.get(row, _NO_LABEL)[1]


def _pages(window: Window) -> Iterator[tuple[list[bytes], list[str]]]:
    """Digest and event time of each row, some at a time."""
    for start in range(0, len(window), _ROWS_AT_ONCE):
        page = slice(start, start + _ROWS_AT_ONCE)
        yield each_digest(window.row_digests[page]), times_at(window.event_times[page])


def _given(
    which: AskedRows, connection: Connection, rows: Sequence[bytes], up_to: int
) -> dict[bytes, tuple[str, float | None]]:
    """Event time and value of that label of each of these rows; without those that have none."""
    found = which(connection, rows, end_of(up_to))
    return {digest: (time, number(label)) for digest, time, label in found}


def labelled_between(
    connection: Connection, model: str, *, start: str, end: str, up_to: int
) -> tuple[Whole, Floats]:
    """The labels in force with event time in [start, end): where they stand, and their values."""
    label = LABELS.alias("label")
    rows = connection.execute(
        select(label.c.place, label.c.label)
        .where(_in_force(label, model, up_to))
        .where(label.c.event_time >= start, label.c.event_time < end)
        .order_by(label.c.event_time, label.c.identity)
        .execution_options(yield_per=_FETCHED_AT_ONCE)
    )
    places, labels = array("q"), array("d")
    for place, value in rows:
        places.append(place)
        labels.append(number(value))
    return np.frombuffer(places, np.int64), np.frombuffer(labels, np.float64)


def labelled_count(connection: Connection, model: str, *, before: str, up_to: int) -> int:
    """How many rows have a label in force with event time before `before`."""
    label = LABELS.alias("label")
    return _count(
        connection, and_(_in_force(label, model, up_to), label.c.event_time < before), label
    )


def new_labelled_count(
    connection: Connection,
    model: str,
    *,
    before: str,
    up_to: int,
    had_up_to: int,
    had_before: str | None,
) -> int:
    """How many rows with a label in force were none when labels up to another position were read.

    Args:
        connection: what is asked.
        model: whose labels.
        before, up_to: event times and positions that are looked at.
        had_up_to: a position, before `up_to`: what was labelled up to it is not new,
        had_before: if the event time of its label then lay before this; None: whenever it lay.
    """
    label, earlier = LABELS.alias("label"), LABELS.alias("earlier")
    then: ColumnElement[Any] = (
        select(earlier.c.event_time)
        .where(
            earlier.c.identity_digest == label.c.identity_digest,
            earlier.c.place < end_of(had_up_to),
            earlier.c.label.is_not(None),
        )
        .order_by(earlier.c.place.desc())
        .limit(1)
        .correlate(label)
        .scalar_subquery()
    )
    had_none = (
        then.is_(None) if had_before is None else func.coalesce(then, had_before) >= had_before
    )
    since = and_(
        by_place(label.c.model) == model,
        label.c.place >= end_of(had_up_to),
        _last(label, up_to),
        by_place(label.c.event_time) < before,
        had_none,
    )
    new = _count(connection, since, label)
    if had_before is None:
        return new
    later = and_(
        _in_force(label, model, up_to),
        label.c.place < end_of(had_up_to),
        label.c.event_time >= had_before,
        label.c.event_time < before,
    )
    return new + _count(connection, later, label)


def corrected_among(
    connection: Connection, model: str, identities: Sequence[str], *, before: str, up_to: int
) -> set[str]:
    """Those of the rows that were labelled more than once, the last time before `before`."""
    label = LABELS.alias("label")
    many = (
        select(func.max(label.c.place).label("last"))
        .where(
            label.c.identity_digest.in_(digests_of_rows(model, identities)),
            label.c.place < end_of(up_to),
            label.c.label.is_not(None),
        )
        .group_by(label.c.identity_digest)
        .having(func.count() > 1)
    )
    found = select(LABELS.c.identity).where(LABELS.c.place.in_(many), LABELS.c.event_time < before)
    return set(connection.execute(found).scalars())


def number(value: object) -> float:
    """A label as it is kept. Raises ReadModelUnfit: it is no number."""
    if not isinstance(value, float | int):
        raise unfit("label", "label")
    return float(value)


def _in_force(label: FromClause, model: str, up_to: int) -> ColumnElement[bool]:
    return and_(label.c.model == model, _last(label, up_to))


def _last(label: FromClause, up_to: int) -> ColumnElement[bool]:
    """Whether it is a label, and no later one of the same row stands up to the position."""
    later = LABELS.alias("later")
    again = (
        select(later.c.place)
        .where(
            later.c.identity_digest == label.c.identity_digest,
            later.c.place > label.c.place,
            later.c.place < end_of(up_to),
            later.c.label.is_not(None),
        )
        .correlate(label)
        .exists()
    )
    return and_(label.c.place < end_of(up_to), label.c.label.is_not(None), ~again)


def _count(connection: Connection, asked: ColumnElement[bool], label: FromClause) -> int:
    return int(
        connection.execute(select(func.count()).select_from(label).where(asked)).scalar_one()
    )
