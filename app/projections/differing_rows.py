"""Rows that differ from those of a fold beside, put right a page under a lock at a time.

A page that is right takes no lock. Between two pages others append, and their entries are folded
into both sides, so that a page is always compared at one position. Cut off, it leaves some rows
right that were not; whoever compares again finds the others.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, Connection, Table, UniqueConstraint, delete, select, tuple_

from app.database.engine import insert_rows

PAGE_ROWS: Final = 250  # of each side, compared and put right in one transaction
Transaction = Callable[[], AbstractContextManager[Connection]]
GoOn = Callable[[Connection], None]  # folds beside what has been appended since
_Key: TypeAlias = tuple[Any, ...]  # the primary key's values
_Rows: TypeAlias = dict[_Key, tuple[object, ...]]  # in the key's order


def put_rows_right(
    connect: Transaction,
    writing: Transaction,
    table: Table,
    beside: Connection,
    go_on: GoOn,
    told: Callable[[], None],
) -> None:
    """Make the rows of `table` those that stand in it `beside`.

    What a row is folded from may be a wrong row of a later page: compare again at the end.

    Args:
        connect: looks at a moment of the ledger.
        writing: holds the lock under which the read model is folded.
        table: of the read model.
        beside: where it was folded anew.
        go_on: is given a moment of the ledger.
        told: of each page, when nobody waits for it; what it raises ends this.

    Raises:
        LedgerBusy: another writer held the lock all the time.
        LedgerDamaged: an entry is not what its hash says.
    """
    after: _Key | None = None
    while True:
        with connect() as moment:
            go_on(moment)
            page = _page(table, moment, beside, after)
        if page.stored != page.right:
            with writing() as connection:
                go_on(connection)
                page = _page(table, connection, beside, after)
                _put_right(connection, table, page)
        told()
        if page.last is None:
            return
        after = page.last


@dataclass(frozen=True, slots=True)
class _Page:
    """The rows of both sides that follow a key."""

    stored: _Rows
    right: _Rows
    last: _Key | None  # the key up to which these are all; None: there are no others


def _page(table: Table, connection: Connection, beside: Connection, after: _Key | None) -> _Page:
    stored, right = (_rows(table, side, after) for side in (connection, beside))
    ends = [next(reversed(rows)) for rows in (stored, right) if len(rows) == PAGE_ROWS]
    last = min(ends, key=_order, default=None)
    if last is not None:
        stored, right = (
            {key: row for key, row in rows.items() if _order(key) <= _order(last)}
            for rows in (stored, right)
        )
    return _Page(stored, right, last)


def _rows(table: Table, connection: Connection, after: _Key | None) -> _Rows:
    key = _key(table)
    query = select(table).order_by(*key).limit(PAGE_ROWS)
    if after is not None:
        query = query.where(tuple_(*key) > after)
    return {
        tuple(row._mapping[column] for column in key): tuple(row)
        for row in connection.execute(query)
    }


def _put_right(connection: Connection, table: Table, page: _Page) -> None:
    wrong = [key for key, row in page.stored.items() if page.right.get(key) != row]
    missing = [row for key, row in page.right.items() if page.stored.get(key) != row]
    connection.execute(delete(table).where(tuple_(*_key(table)).in_(wrong)))
    for unique in _unique(table):  # a wrong row further on may hold what belongs to one of these
        at = list(table.columns).index(unique)
        connection.execute(delete(table).where(unique.in_([row[at] for row in missing])))
    insert_rows(connection, table, missing)


def _key(table: Table) -> tuple[Column[Any], ...]:
    return tuple(table.primary_key.columns)


def _unique(table: Table) -> list[Column[Any]]:
    """The columns without duplicates beside the primary key."""
    constraints = [each for each in table.constraints if isinstance(each, UniqueConstraint)]
    return [column for each in constraints for column in each.columns]


def _order(key: _Key) -> tuple[tuple[bool, Any], ...]:
    """As both databases sort: text by its bytes; SQLite takes bytes for text and puts them last."""
    return tuple((isinstance(value, bytes), value) for value in key)
