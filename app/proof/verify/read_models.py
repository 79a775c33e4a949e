"""Compare the read models with what the entries give, without touching either.

The entries are folded into a scratch database, so that nobody waits for a lock and nothing is
emptied. `rebuild.py` is for putting right what differs.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, func, select

from app.ledger.past import Past
from app.ledger.reading import dense_pages, head
from app.ledger.tables import ENTRIES
from app.projections.folding import PAGE_ENTRIES, digests, fold, scratch
from app.projections.positions import positions_of, tables_beside, tables_of_rows
from app.projections.read_model import tables_of
from app.projections.rows import ROWS
from app.projections.runner import READ_MODELS
from app.proof.verify.breaks import Break
from domain.blocks.ids import position_of
from domain.events.events import PayloadErased
from domain.events.expansion import expanded

_ROWS: Final = 100  # fetched at once: a cycle's has 30 KB
_SHOWN: Final = 300  # characters of a differing row


def differing_read_models(connection: Connection) -> tuple[int, list[Break]]:
    """How many read models were compared, and the first differing row of each table that differs.

    Each is compared at its own position: processes of another version append without it.

    Raises:
        LedgerDamaged: an entry cannot be read.
    """
    positions = positions_of(connection)
    # Those that no process of this version has made yet are made from the entries at its start.
    there = tables_beside(connection) | tables_of_rows(connection)
    tables = [str(table.name) for table in tables_of(READ_MODELS)]
    unknown = [name for name in tables if name in there - positions.keys()]
    standing = [each for each in READ_MODELS if each.name in positions]
    if positions.get(ROWS.name, -1) < _last_erasure(connection):
        # They lack it still, and hold what the entries do not give any more.
        standing = [each for each in standing if each is not ROWS]
    last = max((positions[each.name] for each in standing), default=-1)
    if unknown or last > head(connection):
        return 0, [_unfounded(unknown, last, head(connection))]
    with scratch(standing) as expected:
        for page in dense_pages(connection, -1, last, PAGE_ENTRIES):
            past, rows = Past(connection), expanded(page)  # once for all of them
            for each in standing:
                up_to = positions[each.name]
                fold([each], expected, past, [one for one in rows if one.position <= up_to])
        stored, right = digests(connection, standing), digests(expected, standing)
        found = [
            _first_difference(table, connection, expected)
            for table in tables_of(standing)
            if stored[table.name] != right[table.name]
        ]
    return len(standing), found


def _last_erasure(connection: Connection) -> int:
    """The position of the last one; -1 without any."""
    query = select(func.max(ENTRIES.c.position)).where(ENTRIES.c.type == PayloadErased.type)
    found = connection.execute(query.where(ENTRIES.c.stream == PayloadErased.stream)).scalar()
    return -1 if found is None else int(found)


def _unfounded(unknown: list[str], last: int, newest: int) -> Break:
    """Read models that no process folds like that, and that nobody could compare."""
    if unknown:
        said = f"{', '.join(unknown)} without one"
    else:
        said = f"{last}, and the last entry is {newest}"
    thing = "the positions up to which read models are folded"
    return Break(None, thing, "one for each, of an entry", said)


def _first_difference(table: Table, connection: Connection, scratch: Connection) -> Break:
    query = select(table).order_by(*table.primary_key.columns)
    options = {"yield_per": _ROWS}
    position = None
    found = expected = None
    with (
        connection.execute(query, execution_options=options) as stored,
        scratch.execute(query, execution_options=options) as right,
    ):
        for found, expected in zip_longest(stored, right):
            if found is None or expected is None or tuple(found) != tuple(expected):
                shown = expected if expected is not None else found
                position = None if shown is None else _position(shown)
                break
    return Break(
        position,
        f"the read model {str(table.name)!r}",
        f"the row {_shown(expected)}, which the entries give",
        _shown(found),
    )


def _position(row: Row[*tuple[Any, ...]]) -> int | None:
    """The position of the entry that the row came of, where the row says it."""
    place = row._mapping.get("place")
    if type(place) is int:
        return position_of(place)
    position = row._mapping.get("position")
    return position if type(position) is int else None


def _shown(row: object) -> str:
    return "none" if row is None else repr(row)[:_SHOWN]
