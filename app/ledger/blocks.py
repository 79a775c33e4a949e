"""The rows of entries of many: read with their entries, found by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from app.database.engine import fetch
from app.ledger.erasures import rows_gone
from app.ledger.stored_bytes import as_bytes
from app.ledger.unreadable import rows_missing
from domain.blocks.block import Block
from domain.blocks.ids import head_of, row_of_prediction
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
_STORED: Final = 'SELECT id, "position", "row" FROM row_ids WHERE id {}'
_UUID_LENGTH: Final = 36
_A_FEW: Final = 8
_AT_ONCE: Final = 500  # ids of one query


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
        for id in alike[head]:
            row = row_of_prediction(id, first, rows)
            if row is not None:
                found[id] = (position, row)
    return found | places_by_stored_ids(connection, uuids)


def places_by_stored_ids(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Those of `ids` that clients gave to rows of entries of many: id -> position and row."""
    found = {}
    for start in range(0, len(ids), _AT_ONCE):
        wanted = {id_bytes(id): id for id in ids[start : start + _AT_ONCE]}
        for id, position, row in _stored(connection, list(wanted)):
            found[wanted[as_bytes(id, "the id of a row")]] = (position, row)
    return found


def _stored(connection: Connection, ids: list[bytes]) -> Iterable[tuple[Any, ...]]:
    """The rows of `ROW_IDS` with these ids, `_AT_ONCE` at most."""
    if connection.dialect.name == "postgresql":
        return fetch(connection, _STORED.format("= ANY(%s)"), (ids,))
    # Always as many marks, or few, so that the driver keeps both statements prepared.
    marks = _AT_ONCE if len(ids) > _A_FEW else _A_FEW
    return fetch(connection, _stored_on_sqlite(marks), (*ids, *[b""] * (marks - len(ids))))


@cache
def _stored_on_sqlite(marks: int) -> str:
    return _STORED.format(f"IN ({', '.join(['?'] * marks)})")


def id_bytes(id: str) -> bytes:
    """The 16 bytes of a UUID; of a text that is none, bytes that no row has."""
    try:
        return bytes.fromhex(id.replace("-", ""))
    except ValueError:
        return b""


def _read(connection: Connection, positions: Iterable[int]) -> dict[int, Block]:
    return {
        at: Block(as_bytes(salts, "the salts beside it", at), as_bytes(lines, "its rows", at))
        for at, salts, lines in _fetch(connection, _READ, list(positions))
    }


def _fetch(connection: Connection, statement: str, positions: Sequence[int]) -> Iterable[Any]:
    if not positions:
        return ()
    if connection.dialect.name == "sqlite":
        in_list = statement.format("IN (SELECT value FROM json_each(?))")  # however many
        return connection.exec_driver_sql(in_list, (orjson.dumps(list(positions)).decode(),))
    return connection.exec_driver_sql(statement.format("= ANY(%s)"), (list(positions),))
