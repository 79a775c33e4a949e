"""Payloads that stand apart from their entries: written with them, read with them, erased alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, text
from sqlalchemy.exc import DBAPIError

from app.database.many_values import among, among_values
from app.ledger.block_erasure import erase_rows
from app.ledger.erasures import positions_gone
from app.ledger.stored_bytes import as_bytes
from app.ledger.tables import ARTEFACTS, PAYLOADS
from app.ledger.unreadable import data_missing
from domain.errors import RequestInvalid
from domain.events.erasure import Payload
from domain.events.events import PayloadErased

# The statement of every page read is the driver's own: building one costs more than running it.
_READ: Final = 'SELECT "position", salt, bytes FROM payloads WHERE "position" {}'
_ROWS_PER_DELETE: Final = 500
_NOT_ALLOWED: Final = "42501"  # insufficient_privilege


class PayloadsApart:
    """The payloads of some entries, read with one statement when the first of them is asked for.

    Args:
        connection: that the entries were read on.
        positions: of the entries.
    """

    def __init__(self, connection: Connection, positions: Sequence[int]) -> None:
        self._connection = connection
        self._positions = positions
        self._found: Mapping[int, Payload] | None = None
        self._erased: frozenset[int] | None = None

    def __call__(self, position: int) -> Payload | None:
        """What stands apart from the entry at `position`; None when its erasure is recorded.

        Raises:
            LedgerDamaged: it is missing, and no entry says that it was erased.
        """
        if self._found is None:
            self._found = _read(self._connection, self._positions)
        payload = self._found.get(position)
        if payload is not None:
            return payload
        if self._erased is None:
            self._erased = positions_gone(self._connection)
        if position not in self._erased:
            raise data_missing(position)
        return None


def positions_of(connection: Connection, model: str, identity: str) -> list[int]:
    """Where events about the model's row with this identity stand whose data can be erased."""
    query = select(PAYLOADS.c.position).where(
        PAYLOADS.c.model == model, PAYLOADS.c.identity == identity
    )
    return list(connection.execute(query.order_by(PAYLOADS.c.position)).scalars())


def delete_erased(connection: Connection, event: PayloadErased) -> None:
    """Delete what `event`, recorded already, names; the database refuses what no entry names.

    Rows of many in one entry leave their hashes and ids.

    Raises:
        RequestInvalid: this login may not erase (PostgreSQL).
    """
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA secure_delete = ON"))  # freed bytes become zeros
    try:
        _delete(connection, PAYLOADS.c.position, event.entries)
        _delete(connection, ARTEFACTS.c.sha256, event.artefacts)
        erase_rows(connection, event.rows)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
            raise
        raise RequestInvalid(
            "this login of the database may not erase; nothing was recorded. Run the command with "
            "WHYLEDGER_DATABASE_URL of a login that is a member of whyledger_eraser."
        ) from error


def _delete(connection: Connection, column: Any, values: Sequence[object]) -> None:
    for start in range(0, len(values), _ROWS_PER_DELETE):
        wanted = list(values[start : start + _ROWS_PER_DELETE])
        statement = delete(column.table).where(column.in_(bindparam("wanted", expanding=True)))
        connection.execute(statement, {"wanted": wanted})


def _read(connection: Connection, positions: Iterable[int]) -> dict[int, Payload]:
    statement = _READ.format(among(connection.dialect.name))
    rows = connection.exec_driver_sql(statement, among_values(connection, [*positions]))
    return {
        at: Payload(as_bytes(salt, "the salt beside it", at), as_bytes(data, "its data", at))
        for at, salt, data in rows
    }
