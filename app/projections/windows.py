"""The window a cycle judges: which predictions it holds, as arrays, and their columns as asked for.

A window may hold millions of rows. None of them is kept as an object: 40 bytes each say which row
it is, when it happened, where it stands and what was predicted. A column is read from the ledger
when somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from sqlalchemy import Connection

from app.projections.answered_rows import (
    Answered,
    LatestRows,
    Reach,
    answered_within,
    named_rows,
)
from app.projections.row_values import columns_at
from domain.identities import as_row_digests
from domain.packed import (
    Flags,
    Packed,
    Whole,
    in_order_of_coming,
    moments_of,
    text_digests,
    times_at,
)

OTHER_VERSION: Final = "made by another version"
BEFORE_TRAINING_ENDED: Final = "before the champion's training ended"
TRAINED_ON: Final = "of a row that the champion was trained on"
SUPERSEDED: Final = "a later prediction of the same row counts"

_TIMES_AT_ONCE: Final = 1_000  # that are texts
_VALUES_HELD_MAX: Final = 500_000  # of columns that are read together: some 5 MB


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Window(Answered):
    """The predictions a cycle judges, and those it does not, by reason.

    By place; where it is asked for by time, by event time and identity.
    """

    left_out: dict[str, int]  # reason -> predictions; reasons that hold for none are left out

    def without(self, rows: Flags, reason: str | None = None) -> Window:
        """The window less these rows, which are counted under `reason`; None: under none."""
        left = int(np.count_nonzero(rows)) if reason is not None else 0
        return Window(
            places=self.places[~rows],
            predictions=self.predictions[~rows],
            row_digests=self.row_digests[~rows],
            event_times=self.event_times[~rows],
            left_out=self.left_out | ({reason: left} if reason is not None and left else {}),
        )

    def __len__(self) -> int:
        """Rows."""
        return len(self.places)


def no_window() -> Window:
    """A window without any row."""
    return Window(
        places=np.empty(0, np.int64),
        predictions=np.empty(0),
        row_digests=as_row_digests(b""),
        event_times=moments_of([]),
        left_out={},
    )


def _window(rows: Answered, left_out: dict[str, int]) -> Window:
    return Window(
        places=rows.places,
        predictions=rows.predictions,
        row_digests=rows.row_digests,
        event_times=rows.event_times,
        left_out=left_out,
    )


class Columns(Mapping[str, Packed]):
    """The columns of some rows, read when one is asked for; of many rows only it, and not kept.

    Columns of few rows are read with those that follow, and kept until another one is asked for.

    Args:
        connect: opens a connection to read on.
        read: gives the columns of these names, on such a connection.
        rows: how many there are.
        names: of the columns; a row that lacks one is missing in it.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Connection]],
        read: Callable[[Connection, Sequence[str]], Sequence[Packed]],
        rows: int,
        names: Sequence[str],
    ) -> None:
        self._connect, self._read = connect, read
        self._names = list(dict.fromkeys(names))
        self._together = max(1, _VALUES_HELD_MAX // max(1, rows))
        self._held: dict[str, Packed] = {}

    def __getitem__(self, name: str) -> Packed:
        """The column."""
        if name not in self._held:
            if name not in self._names:
                raise KeyError(name)
            self._held = {}  # before others are read
            at = self._names.index(name)
            names = self._names[at : at + self._together]
            with self._connect() as connection:
                self._held = dict(zip(names, self._read(connection, names), strict=True))
        return self._held[name]

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
    asked = start if unclipped_start is None else unclipped_start
    reach = Reach(start=min(start, asked), end=end, up_to=up_to)
    others = before = 0
    with LatestRows(model) as inside:
        for version, row in answered_within(connection, model, reach):
            if version == model_version and row.event_time >= start:
                inside.add(row)
            elif row.event_time < asked:
                continue
            elif version == model_version:
                before += 1
            else:
                others += 1
        latest = inside.latest(by_time=by_time)
    counts = {
        OTHER_VERSION: others,
        BEFORE_TRAINING_ENDED: before,
        SUPERSEDED: inside.rows - len(latest.places),
    }
    left_out = {reason: rows for reason, rows in counts.items() if rows}
    return _window(latest, left_out)


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
    reach = Reach(start="", end=before, after=after, up_to=up_to)
    return _all_of(connection, model, model_version, reach, by_time=by_time)


def rows_answered(
    connection: Connection, model: str, *, model_version: str, start: str, end: str, up_to: int
) -> int:
    """How many rows the window of another version would hold."""
    reach = Reach(start=start, end=end, up_to=up_to)
    return len(_all_of(connection, model, model_version, reach, by_time=False))


def _all_of(
    connection: Connection, model: str, model_version: str, reach: Reach, *, by_time: bool
) -> Window:
    with LatestRows(model) as found:
        for _, row in answered_within(connection, model, reach, model_version):
            found.add(row)
        return _window(found.latest(by_time=by_time), {})


def prediction_columns(
    connect: Callable[[], AbstractContextManager[Connection]], window: Window, names: Sequence[str]
) -> Columns:
    """These columns of the window's rows, each read when it is asked for."""

    def read(connection: Connection, some: Sequence[str]) -> Sequence[Packed]:
        return columns_at(connection, window.places, some)

    return Columns(connect, read, len(window), names)


def event_times_of(window: Window) -> Iterator[str]:
    """The event times of the window's rows, in its order."""
    for start in range(0, len(window), _TIMES_AT_ONCE):
        yield from times_at(window.event_times[start : start + _TIMES_AT_ONCE])


def grouped_rows(
    connection: Connection, places: Whole, column: str
) -> Iterator[tuple[str, str, str]]:
    """Identity, event time and group, by the column that names it, of the predictions at these
    places, in their order."""
    (groups,) = columns_at(connection, places, [column])
    rows = chain.from_iterable(named_rows(connection, places))
    for (identity, time), group in zip(rows, groups, strict=True):
        yield identity, time, str(group)


def groups_of(connection: Connection, window: Window, column: str) -> Whole:
    """The group of each row of the window by this column: from 0, in the order of their coming."""
    (named,) = columns_at(connection, window.places, [column])
    return in_order_of_coming(text_digests(map(str, named)))
