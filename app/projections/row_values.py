"""What rows hold, read from the ledger by where they stand: no read model repeats it.

The ledger is read in its own order, each entry once, whatever order is asked for: an entry of many
rows costs as much for one of them as for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from sqlalchemy import Connection

from app.ledger.known_damage import refuse_to_lack
from app.ledger.reading import entries_at
from app.projections.read_model import unfit
from domain.blocks.ids import positions_of, rows_at_places
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.events import ObservationRecorded, PredictionMade
from domain.events.expansion import rows_of
from domain.events.row_cells import cells_of, names_of
from domain.events.unreadable import Unreadable
from domain.packed import Packed, Packing, Value, Whole

_ROWS_AT_ONCE: Final = 1_000  # that are objects at a time, of entries with one row


def in_ledger_order(places: Whole) -> tuple[Whole, Whole]:
    """The order in which these places ascend, and where each of them stands in that order.

    >>> order, back = in_ledger_order(np.array([30, 10, 20]))
    >>> order.tolist(), back.tolist()
    ([1, 2, 0], [2, 0, 1])
    """
    order = np.argsort(places, kind="stable")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return order, back


def events_at(connection: Connection, places: Whole) -> Iterator[Recorded]:
    """The plain events at these places, which ascend; one may be asked for more than once.

    Raises:
        ReadModelUnfit: nothing stands at one of them, or nothing that can be read.
        StoredDamage: one is not what was written, and nobody accepted that.
    """
    for entry, rows in _entries(connection, places):
        found = [entry] * len(rows) if entry.rows_apart is None else rows_of(entry, rows)
        for each in found:
            if isinstance(each.event, Erased):
                raise _gone()
            yield each


def names_at(connection: Connection, places: Whole) -> Iterator[tuple[str, str]]:
    """Identity and event time of the predictions at these places, which ascend.

    Raises:
        ReadModelUnfit, StoredDamage: as `events_at`.
    """
    for _, _, names in predictions_at(connection, places):
        yield from names


def predictions_at(
    connection: Connection, places: Whole
) -> Iterator[tuple[Recorded, list[int], list[tuple[str, str]]]]:
    """Entries of predictions that stand at these places, which ascend: each with the rows that are
    asked for, and identity and event time of these.

    Raises:
        ReadModelUnfit, StoredDamage: as `events_at`.
    """
    for entry, rows in _entries(connection, places):
        names = names_of(entry, rows)
        if names is None:
            raise _gone()
        yield entry, rows, names


def columns_at(connection: Connection, places: Whole, names: Sequence[str]) -> list[Packed]:
    """These columns of the rows at these places, in their order; a row that lacks one is missing.

    Raises:
        ReadModelUnfit, StoredDamage: as `events_at`.
    """
    order, back = in_ledger_order(places)
    columns = [Packing() for _ in names]
    for page in pages_of_columns(connection, places[order], names):
        for packing, values in zip(columns, page, strict=True):
            packing.add(values)
    return [packing.packed().taken(back) for packing in columns]


def pages_of_columns(
    connection: Connection, places: Whole, names: Sequence[str]
) -> Iterator[list[list[Value]]]:
    """The same columns of the rows at places that ascend, some rows at a time.

    Raises:
        ReadModelUnfit, StoredDamage: as `events_at`.
    """
    page: list[list[Value]] = [[] for _ in names]
    held = 0
    for entry, rows in _entries(connection, places):
        event = entry.event
        if isinstance(event, PredictionMade | ObservationRecorded):
            for values, name in zip(page, names, strict=True):
                values.extend([event.row.get(name)] * len(rows))
        else:
            cells = cells_of(entry, rows, names)
            if cells is None:
                raise _gone()
            for values, some in zip(page, cells, strict=True):
                values.extend(some)
        held += len(rows)
        if held >= _ROWS_AT_ONCE:
            yield page
            page, held = [[] for _ in names], 0
    if held:
        yield page


def _entries(connection: Connection, places: Whole) -> Iterator[tuple[Recorded, list[int]]]:
    """Each entry, and which of its rows are asked for."""
    starts = np.flatnonzero(np.diff(positions_of(places), prepend=-1))
    for first in range(0, len(starts), _ROWS_AT_ONCE):
        begins = starts[first : first + _ROWS_AT_ONCE]
        last = first + len(begins)
        end = int(starts[last]) if last < len(starts) else len(places)
        at = positions_of(places[begins]).tolist()
        rows = rows_at_places(places[begins[0] : end]).tolist()
        cuts = [*(begins - begins[0]).tolist(), len(rows)]
        found = entries_at(connection, at)
        for position, begin, behind in zip(at, cuts, cuts[1:], strict=False):
            entry = next(found, None)
            if entry is None or entry.position != position:
                raise _gone()
            if isinstance(entry.event, Unreadable):
                refuse_to_lack(connection, [entry])
                raise _gone()
            if isinstance(entry.event, Erased) or rows[behind - 1] >= entry.rows:
                raise _gone()
            yield entry, rows[begin:behind]


def _gone() -> Exception:
    return unfit("place", "a row")
