"""The rows of entries of many: read with their entries, found by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from app.database.engine import execute, fetch
from app.database.many_values import among, among_values, each_key, keys_as_values
from app.ledger.erasures import rows_gone
from app.ledger.stored_bytes import as_bytes
from app.ledger.unreadable import rows_missing
from domain.blocks.block import Block
from domain.blocks.ids import bytes_of_ids, head_of, rows_of_predictions
from domain.stored_damage import StoredDamage

# The statements of every page are the drivers' own: building one costs more than running it.
_READ: Final = 'SELECT "position", salts, bytes FROM blocks WHERE "position" {}'
_ROWS: Final = 'SELECT "position", rows FROM blocks WHERE "position" {}'
_DIGESTS: Final = 'SELECT "position", digests FROM blocks WHERE "position" {}'
_OF_PREDICTIONS: Final = (  # our own names. CROSS: in this order, or SQLite reads all entries first
    'SELECT wanted.value, e."position", e.id, b.rows FROM {wanted} CROSS JOIN entries e'
    ' JOIN blocks b ON b."position" = e."position"'
    " WHERE e.id >= wanted.value || '0000' AND e.id <= wanted.value || 'ffff'"
    " AND e.type = 'predictions.predictions-made'"
)
_UUID_LENGTH: Final = 36
_AT_ONCE: Final = 1_000  # ids of one query


class BlocksApart:
    """The rows of some entries, read with one statement when the first of them is asked for.

    Args:
        connection: that the entries were read on.
        positions: of the entries whose rows fit into memory together; others are read one by one.
    """

    def __init__(self, connection: Connection, positions: Sequence[int] = ()) -> None:
        self._connection = connection
        self._positions = positions
        self._found: Mapping[int, Block] | None = None

    def __call__(self, position: int) -> Block:
        """The rows of the entry at `position`.

        Raises:
            StoredDamage: they are missing, where erased ones leave their hashes; or a row is, and
                no entry says that it was erased.
        """
        if self._found is None:
            self._found = _read(self._connection, self._positions)
        block = self._found.get(position) or _read(self._connection, [position]).get(position)
        if block is None:
            raise rows_missing(position)
        gone = block.rows_erased()
        if gone:
            self._refuse_unnamed(position, gone)
        return block

    def _refuse_unnamed(self, position: int, gone: Sequence[int]) -> None:
        named = rows_gone(self._connection).get(position, frozenset())
        for row in gone:
            if row not in named:
                raise StoredDamage(
                    f"row {row} of entry {position} is missing, and no entry says that it was "
                    "erased. Stop writing; restore a back-up and compare.",
                    position,
                )


def rows_at(connection: Connection, positions: Sequence[int]) -> dict[int, int]:
    """How many rows stand apart for each of these entries that has some."""
    return {at: rows for at, rows in _fetch(connection, _ROWS, positions) if type(rows) is int}


def digests_at(connection: Connection, positions: Sequence[int]) -> dict[int, bytes | None]:
    """The digests of the requests that the rows of these entries came in, 16 bytes a row."""
    return {
        at: None if digests is None else as_bytes(digests, "the digests beside it", at)
        for at, digests in _fetch(connection, _DIGESTS, positions)
    }


def end_of_page(connection: Connection, after: int, up_to: int, rows_max: int) -> int:
    """The last of the entries behind `after`, up to `up_to`, with so many rows together at most.

    The first of them, where it has more. `up_to`, when there is none between.
    """
    many = rows_at(connection, range(after + 1, up_to + 1))
    held = 0
    for position in range(after + 1, up_to + 1):
        held += max(1, many.get(position, 1))
        if held > rows_max:
            return max(position - 1, after + 1)
    return up_to


def places_of(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Those of `ids` that are rows of entries of many: id -> position and row.

    The id of row 0 of predictions is its entry's, too.
    """
    uuids = [id for id in ids if len(id) == _UUID_LENGTH]
    found: dict[str, tuple[int, int]] = {}
    if not uuids:
        return found
    alike: dict[str, list[str]] = {}  # what ids of one entry have in common -> those that are asked
    for id in uuids:
        alike.setdefault(head_of(id), []).append(id)
    if connection.dialect.name == "sqlite":
        statement = _OF_PREDICTIONS.format(wanted="json_each(?) AS wanted")
        asked: tuple[Any, ...] = (orjson.dumps([*alike]).decode(),)
    else:
        statement = _OF_PREDICTIONS.format(wanted="unnest(%s::text[]) AS wanted(value)")
        asked = ([*alike],)
    for head, position, first, rows in connection.exec_driver_sql(statement, asked):
        found |= {id: (position, row) for id, row in rows_of_predictions(alike[head], first, rows)}
    return found | places_by_stored_ids(connection, [id for id in uuids if id not in found])


def places_by_stored_ids(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Those of `ids` that clients gave to rows of entries of many: id -> position and row."""
    found = {}
    statement = _stored(connection.dialect.name)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        try:
            keys = bytes_of_ids(some)
        except ValueError:  # no row has an id that is no UUID
            some = [id for id in some if _is_uuid(id)]
            keys = bytes_of_ids(some)
        for number, position, row in fetch(connection, statement, keys_as_values(connection, keys)):
            found[some[number]] = (position, row)
    return found


@cache
def _stored(dialect: str) -> str:
    return (  # our own names. CROSS: in this order, or SQLite might read all ids first
        f'SELECT asked.number, "position", "row" FROM {each_key(dialect)} AS asked'  # noqa: S608
        " CROSS JOIN row_ids WHERE id = asked.key"
    )


def insert_row_ids(connection: Connection, position: int, ids: Sequence[str]) -> None:
    """Note the ids that clients gave to the rows of the entry at `position`, all of them in order.

    Raises:
        ValueError: one is no UUID.
    """
    dialect = connection.dialect.name
    mark = "?" if dialect == "sqlite" else "%s"
    execute(
        connection,
        f'INSERT INTO row_ids (id, "position", "row")'  # noqa: S608 - our own names
        f" SELECT each.key, {mark}, each.number FROM {each_key(dialect)} AS each",
        (position, *keys_as_values(connection, bytes_of_ids(ids))),
    )


def _is_uuid(id: str) -> bool:
    try:
        bytes_of_ids([id])
    except ValueError:
        return False
    return True


def _read(connection: Connection, positions: Iterable[int]) -> dict[int, Block]:
    return {
        at: Block(as_bytes(salts, "the salts beside it", at), as_bytes(lines, "its rows", at))
        for at, salts, lines in _fetch(connection, _READ, list(positions))
    }


def _fetch(connection: Connection, statement: str, positions: Sequence[int]) -> Iterable[Any]:
    if not positions:
        return ()
    in_list = statement.format(among(connection.dialect.name))
    return connection.exec_driver_sql(in_list, among_values(connection, positions))
