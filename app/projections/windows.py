"""The window a cycle judges: which predictions it holds, as arrays, and their columns as asked for.

A window may hold millions of rows. None of them is kept as an object: 16 bytes each say where it
stands and what was predicted, and a column is read from the database when somebody looks at it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import ColumnElement, Connection, Table, and_, func, select

from app.projections.predictions import PREDICTIONS
from app.projections.read_model import unfit
from domain.blocks.ids import end_of
from domain.packed import (
    Flags,
    Floats,
    Packed,
    Value,
    Whole,
    in_order_of_coming,
    pack,
    text_digests,
)

OTHER_VERSION: Final = "made by another version"
BEFORE_TRAINING_ENDED: Final = "before the champion's training ended"
TRAINED_ON: Final = "of a row that the champion was trained on"
SUPERSEDED: Final = "a later prediction of the same row counts"

_ROWS_AT_ONCE: Final = 1_000  # read in one statement
_FETCHED_AT_ONCE: Final = 10_000  # of what one statement gives


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Window:
    """The predictions a cycle judges, and those it does not, by reason."""

    places: Whole  # see `Recorded.place`; ascending unless asked for by time
    predictions: Floats  # of the same rows, target's unit
    left_out: dict[str, int]  # reason -> predictions; reasons that hold for none are left out

    def without(self, rows: Flags, reason: str | None = None) -> Window:
        """The window less these rows, which are counted under `reason`; None: under none."""
        left = int(np.count_nonzero(rows)) if reason is not None else 0
        return Window(
            places=self.places[~rows],
            predictions=self.predictions[~rows],
            left_out=self.left_out | ({reason: left} if reason is not None and left else {}),
        )

    def __len__(self) -> int:
        """Rows."""
        return len(self.places)


def no_window() -> Window:
    """A window without any row."""
    return Window(places=np.empty(0, np.int64), predictions=np.empty(0), left_out={})


class Columns(Mapping[str, Packed]):
    """The columns of some rows of a table, each read when it is asked for, and not kept.

    Args:
        connect: opens a connection to read on.
        table: with the columns `place` and `row`.
        places: of the rows.
        names: of the columns; a row that lacks one is missing in it.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection]],
        table: Table,
        places: Whole,
        names: Sequence[str],
    ) -> None:
        self._connect, self._table, self._places = connect, table, places
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Packed:
        """The column, as it is read now."""
        if name not in self._names:
            raise KeyError(name)
        with self._connect() as connection:
            return pack(values_of(connection, self._table, self._places, name))

    def __contains__(self, name: object) -> bool:
        """Whether there is such a column; nothing is read."""
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Columns."""
        return len(self._names)


def window_predictions(
    connection: Connection,
    model: str,
    *,
    model_version: str,
    start: str,
    end: str,
    up_to: int,
    unclipped_start: str | None = None,
    by_time: bool = False,
) -> Window:
    """`model_version`'s predictions with event time in [start, end), recorded up to a position.

    The latest prediction per row identity counts. `unclipped_start`: where the drift window would
    start were it not clipped at the champion's training; what is left out is counted from there.
    `by_time`: in order of event time and identity, not of place.
    """
    table = PREDICTIONS.c
    known = and_(table.model == model, table.place < end_of(up_to))
    inside = and_(
        known,
        table.model_version == model_version,
        table.event_time >= start,
        table.event_time < end,
    )
    found = _latest(connection, inside, by_time)
    reach = start if unclipped_start is None else unclipped_start
    asked = and_(known, table.event_time >= reach, table.event_time < end)
    counts = {
        OTHER_VERSION: _count(connection, and_(asked, table.model_version != model_version)),
        BEFORE_TRAINING_ENDED: _count(
            connection,
            and_(asked, table.model_version == model_version, table.event_time < start),
        ),
        SUPERSEDED: _count(connection, inside) - len(found),
    }
    return Window(
        places=found.places,
        predictions=found.predictions,
        left_out={reason: n for reason, n in counts.items() if n},
    )


def predictions_between(
    connection: Connection,
    model: str,
    *,
    model_version: str,
    after: int,
    up_to: int,
    before: str,
    by_time: bool,
) -> Window:
    """`model_version`'s predictions recorded behind one position and up to another.

    Event times before `before`; the latest prediction per row identity counts.
    """
    table = PREDICTIONS.c
    return _latest(
        connection,
        and_(
            by_place(table.model) == model,
            table.place >= end_of(after),
            table.place < end_of(up_to),
            table.model_version == model_version,
            by_place(table.event_time) < before,
        ),
        by_time,
    )


def rows_answered(
    connection: Connection, model: str, *, model_version: str, start: str, end: str, up_to: int
) -> int:
    """How many rows the window of another version would hold."""
    table = PREDICTIONS.c
    asked = and_(
        table.model == model,
        table.place < end_of(up_to),
        table.model_version == model_version,
        table.event_time >= start,
        table.event_time < end,
    )
    rows = select(func.count(table.identity.distinct())).where(asked)
    return int(connection.execute(rows).scalar_one())


def by_place(column: ColumnElement[str]) -> ColumnElement[str]:
    """The same text, by which no index is searched: what is asked for is a range of places.

    SQLite, which keeps no statistics, takes an index on a model for one of a few rows.
    """
    return column.concat("")


def read_pages(
    connection: Connection, table: Table, places: Whole, *asked: ColumnElement[Any]
) -> Iterator[list[tuple[Any, ...]]]:
    """What is asked for of the rows at these places, in their order, some at a time.

    Raises:
        ReadModelUnfit: one of the rows is not there.
    """
    for start in range(0, len(places), _ROWS_AT_ONCE):
        page = places[start : start + _ROWS_AT_ONCE].tolist()
        rows = connection.execute(select(table.c.place, *asked).where(table.c.place.in_(page)))
        found = {row[0]: tuple(row[1:]) for row in rows}
        if len(found) < len(page):
            raise unfit("place", str(table.name))
        yield [found[place] for place in page]


def values_of(connection: Connection, table: Table, places: Whole, name: str) -> Iterator[Value]:
    """The column of this name in the rows at these places; None where a row lacks it."""
    for page in read_pages(connection, table, places, table.c.row):
        for (text,) in page:
            yield row_of(text).get(name)


def prediction_columns(
    connect: Callable[[], AbstractContextManager[Connection]], window: Window, names: Sequence[str]
) -> Columns:
    """These columns of the window's rows, each read when it is asked for."""
    return Columns(connect, PREDICTIONS, window.places, names)


def identities_of(connection: Connection, window: Window) -> Iterator[list[str]]:
    """The identities of the window's rows, in its order, some at a time."""
    for page in read_pages(connection, PREDICTIONS, window.places, PREDICTIONS.c.identity):
        yield [identity for (identity,) in page]


def event_times_of(connection: Connection, window: Window) -> Iterator[str]:
    """The event times of the window's rows, in its order."""
    for page in read_pages(connection, PREDICTIONS, window.places, PREDICTIONS.c.event_time):
        yield from (time for (time,) in page)


def whole_rows(connection: Connection, places: Whole) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Identity, event time and row of the predictions at these places, in their order."""
    table = PREDICTIONS.c
    asked = (table.identity, table.event_time, table.row)
    for page in read_pages(connection, PREDICTIONS, places, *asked):
        yield from ((identity, time, row_of(text)) for identity, time, text in page)


def groups_of(connection: Connection, window: Window, column: str) -> Whole:
    """The group of each row of the window by this column: from 0, in the order of their coming."""
    named = values_of(connection, PREDICTIONS, window.places, column)
    return in_order_of_coming(text_digests(map(str, named)))


def row_of(text: object) -> dict[str, Any]:
    """The row that a read model keeps as JSON. Raises ReadModelUnfit."""
    try:
        found = orjson.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unfit("row", "row")
    return found


def _latest(connection: Connection, inside: ColumnElement[bool], by_time: bool) -> Window:
    table = PREDICTIONS.c
    latest = select(func.max(table.place)).where(inside).group_by(table.identity)
    order = (table.event_time, table.identity) if by_time else (table.place,)
    rows = connection.execute(
        select(table.place, table.prediction)
        .where(table.place.in_(latest))
        .order_by(*order)
        .execution_options(yield_per=_FETCHED_AT_ONCE)
    )
    places, predictions = array("q"), array("d")
    for place, prediction in rows:
        if not isinstance(prediction, float | int):
            raise unfit("prediction", "prediction")
        places.append(place)
        predictions.append(prediction)
    return Window(
        places=np.frombuffer(places, np.int64),
        predictions=np.frombuffer(predictions, np.float64),
        left_out={},
    )


def _count(connection: Connection, condition: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).where(condition)).scalar_one())
