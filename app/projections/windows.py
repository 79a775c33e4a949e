"""The window a cycle judges: which predictions it holds, as arrays, and their columns as asked for.

A window may hold millions of rows. None of them is kept as an object: 40 bytes each say which row
it is, when it happened, where it stands and what was predicted. Their columns are read from the
ledger together, when somebody looks at the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from app.projections.kept_columns import Columns, Page
from app.projections.row_values import columns_at, in_ledger_order, pages_of_columns
from domain.identities import as_row_digests
from domain.packed import (
    Flags,
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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Window(Answered):
    """The predictions a cycle judges, and those it does not, by reason.

    By place; where it is asked for by time, by event time and identity.
    """

    left_out: dict[str, int]  # reason -> predictions; reasons that hold for none are left out

    def without(self, rows: Flags, reason: str | None = None) -> Window:
        """The window less these rows, which are counted under `reason`; None: under none.

        Without any of them it is the window itself: a copy would be held beside it.
        """
        left = int(np.count_nonzero(rows))
        if not left:
            return self
        return Window(
            places=self.places[~rows],
            predictions=self.predictions[~rows],
            row_digests=self.row_digests[~rows],
            event_times=self.event_times[~rows],
            left_out=self.left_out | ({} if reason is None else {reason: left}),
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
    inside = LatestRows(model)
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


class Answers:
    """What one version of a model answered, read once for several windows of it.

    Args:
        connection: what is asked.
        model: whose predictions.
        model_version: who answered.
        reach: which of its predictions.
    """

    def __init__(
        self, connection: Connection, model: str, model_version: str, reach: Reach
    ) -> None:
        self._rows = LatestRows(model)
        for _, row in answered_within(connection, model, reach, model_version):
            self._rows.add(row)

    def window(self, *, after: int = -1, start: str = "", by_time: bool = False) -> Window:
        """Those recorded behind a position, with event time from `start` on; the latest per row.

        `by_time`: in order of event time and identity, not of place.
        """
        return _window(self._rows.latest(by_time=by_time, after=after, start=start), {})


def rows_answered(
    connection: Connection, model: str, *, model_version: str, start: str, end: str, up_to: int
) -> int:
    """How many rows the window of another version would hold."""
    reach = Reach(start=start, end=end, up_to=up_to)
    return len(Answers(connection, model, model_version, reach).window())


def prediction_columns(
    connect: Callable[[], AbstractContextManager[Connection]], window: Window, names: Sequence[str]
) -> Columns:
    """These columns of the window's rows, read together when the first of them is asked for."""

    def read(connection: Connection, some: Sequence[str], keep: Callable[[Page], None]) -> Whole:
        order, back = in_ledger_order(window.places)
        ascending = window.places[order]
        del order  # or it were held while all rows are read
        for page in pages_of_columns(connection, ascending, some):
            keep(page)
        return back

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
