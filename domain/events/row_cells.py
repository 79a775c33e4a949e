"""What is asked of many rows at once, without a plain event for each: a third of the time.

Only what is certain is read so: an entry with an erased row, or of an older schema, goes the way of
`expansion.py`. A test holds both to each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from domain.blocks.lines_together import block_together, rows_together
from domain.events.envelope import Recorded, event_data
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.expansion import rows_of
from domain.events.rows_apart import RowsApart
from domain.events.upcasting import UPCASTERS
from domain.packed import Value

_Lines = Sequence[tuple[Any, ...]]
_COLUMNS: Final = 4  # place, identity, event time, and what was answered or observed
_WITH_COLUMNS: Final = (PredictionMade, ObservationRecorded)


class AnsweredRow(NamedTuple):
    """One row that was predicted, and what was answered."""

    place: int  # see `Recorded.place`
    identity: str
    event_time: str
    prediction: float  # target's unit


class AnsweredRows(NamedTuple):
    """The same of many rows, by columns."""

    places: Sequence[int]
    identities: Sequence[str]
    event_times: Sequence[str]
    predictions: Sequence[float]


def answered_rows(entry: Recorded) -> Iterator[AnsweredRow]:
    """The rows that an entry of predictions holds, in order; of erased ones none."""
    event = entry.event
    if type(event) is PredictionMade:
        row = AnsweredRow(entry.place, event.identity, entry.occurred_at, event.prediction)
        return iter((row,))
    return map(AnsweredRow, *answered_together(entry))


def answered_together(entry: Recorded) -> AnsweredRows:
    """The same by columns."""
    apart, rows = entry.rows_apart, range(entry.rows)
    shared, lines = _certain(entry, apart, rows)
    if apart is not None and lines is not None:
        identities, times = _names(apart, shared, lines)
        places = range(entry.place, entry.place + entry.rows)
        return AnsweredRows(places, identities, times, [line[0] for line in lines])
    return AnsweredRows(
        *_columns(
            (each.place, each.event.identity, each.occurred_at, each.event.prediction)
            for each in rows_of(entry, rows)
            if isinstance(each.event, PredictionMade)
        )
    )


class ObservedRows(NamedTuple):
    """Rows that were observed, and their labels, by columns."""

    places: Sequence[int]
    identities: Sequence[str]
    event_times: Sequence[str]
    labels: Sequence[Value]  # None where a row lacks it


def observed_together(entry: Recorded, target: str) -> ObservedRows:
    """The rows that an entry of observations holds, in order; of erased ones none.

    `target`: the column of the label.
    """
    apart, rows = entry.rows_apart, range(entry.rows)
    shared, lines = _certain(entry, apart, rows)
    if apart is not None and lines is not None:
        identities, times = _names(apart, shared, lines)
        places = range(entry.place, entry.place + entry.rows)
        return ObservedRows(places, identities, times, _column(apart, shared, lines, target))
    return ObservedRows(
        *_columns(
            (each.place, each.event.identity, each.occurred_at, each.event.row.get(target))
            for each in rows_of(entry, rows)
            if isinstance(each.event, ObservationRecorded)
        )
    )


class LabelledRows(NamedTuple):
    """Labels of predictions, by columns."""

    places: Sequence[int]
    prediction_ids: Sequence[str]
    labels: Sequence[float]  # target's unit


def labelled_together(entry: Recorded) -> LabelledRows:
    """The labels that an entry of outcomes holds, in order; of erased ones none."""
    apart = entry.rows_apart
    if apart is not None:
        shared = event_data(entry.event)
        older = (apart.layout.plain, shared["row_schema"]) in UPCASTERS
        values = None if older else block_together(apart.layout, shared, apart.block)
        if values is not None:
            _, _, ids, _, labels, _ = zip(*values, strict=True)
            return LabelledRows(range(entry.place, entry.place + entry.rows), ids, labels)
    told = [
        (each.place, each.event.prediction_id, each.event.label)
        for each in rows_of(entry, range(entry.rows))
        if isinstance(each.event, OutcomeRecorded)
    ]
    return LabelledRows(*([*zip(*told, strict=True)] or [(), (), ()]))


def names_of(entry: Recorded, rows: Sequence[int]) -> list[tuple[str, str]] | None:
    """Identity and event time of some rows of an entry of predictions.

    None: one of the rows is no prediction, or is erased.
    """
    apart = entry.rows_apart
    shared, lines = _certain(entry, apart, rows)
    if apart is not None and apart.layout.plain == PredictionMade.type and lines is not None:
        return list(zip(*_names(apart, shared, lines), strict=True))
    found = [
        (each.event.identity, each.occurred_at)
        for each in _plain(entry, apart, rows)
        if isinstance(each.event, PredictionMade)
    ]
    return found if len(found) == len(rows) else None


def cells_of(
    entry: Recorded, rows: Sequence[int], names: Sequence[str]
) -> list[list[Value]] | None:
    """These columns of some rows of an entry; None in it where a row lacks one.

    None: one of the rows has no columns, or is erased.
    """
    apart = entry.rows_apart
    shared, lines = _certain(entry, apart, rows)
    if apart is not None and lines is not None:
        return [_column(apart, shared, lines, name) for name in names]
    plain = _plain(entry, apart, rows)
    held = [each.event.row for each in plain if isinstance(each.event, _WITH_COLUMNS)]
    if len(held) < len(rows):
        return None
    return [[row.get(name) for row in held] for name in names]


def _names(apart: RowsApart, shared: dict[str, Any], lines: _Lines) -> tuple[list[str], list[str]]:
    """Identity and event time of such lines."""
    return apart.layout.identities(shared, lines), apart.layout.times(shared, lines)


def _columns(rows: Iterable[tuple[Any, Any, Any, Any]]) -> Sequence[Sequence[Any]]:
    """The same by columns."""
    return [*zip(*rows, strict=True)] or [()] * _COLUMNS


def _column(apart: RowsApart, shared: dict[str, Any], lines: _Lines, name: str) -> list[Value]:
    """One column of such lines; None where there is none of this name."""
    if name not in shared["columns"]:
        return [None] * len(lines)
    at = len(apart.layout.fixed) + shared["columns"].index(name)
    return [line[at] for line in lines]


def _plain(entry: Recorded, apart: RowsApart | None, rows: Sequence[int]) -> list[Recorded]:
    """Some rows of an entry as plain events; one that stands alone as often as it is asked for."""
    return [entry] * len(rows) if apart is None else list(rows_of(entry, rows))


def _certain(
    entry: Recorded, apart: RowsApart | None, rows: Sequence[int]
) -> tuple[dict[str, Any], _Lines | None]:
    """What the rows of an entry of many share, and the values of these lines; None: not certain."""
    if apart is None or not apart.layout.has_columns:
        return {}, None
    shared = event_data(entry.event)
    older = (apart.layout.plain, shared["row_schema"]) in UPCASTERS
    return shared, None if older else rows_together(apart.layout, shared, apart.block, rows)
