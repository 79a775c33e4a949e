"""How far read models are folded: a table of positions, and which tables of read models stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Column, Connection, MetaData, Table, delete, inspect, select

from app.database.engine import READ_MODELS_SCHEMA, ROWS_SCHEMA
from app.database.rows_file import sees_rows
from app.ledger.tables import NAME, POSITION
from app.projections.read_model import METADATA

POSITIONS: Final = Table(
    "read_model_positions",
    METADATA,
    Column("read_models", NAME, primary_key=True),  # their names, sorted, with blanks between
    Column("position", POSITION, nullable=False),  # of the last entry folded; -1: none
)
_OF_ROWS: Final = POSITIONS.to_metadata(MetaData(), schema=ROWS_SCHEMA)


def positions_of(connection: Connection) -> dict[str, int]:
    """Read model -> the position of the last entry folded into it, of whatever version.

    Those that this connection sees in a file of rows are among them.
    """
    found: dict[str, int] = {}
    told = list(connection.execute(select(_OF_ROWS))) if _sees_rows(connection) else []
    for together, position in (*told, *connection.execute(select(POSITIONS))):
        if not isinstance(together, str) or type(position) is not int:
            continue  # SQLite takes anything; what nothing is known of is folded from the start
        for name in together.split():
            found[name] = max(position, found.get(name, -1))
    return found


def tables_beside(connection: Connection) -> set[str]:
    """The tables beside which read models stand, and those themselves."""
    schema = None if connection.dialect.name == "sqlite" else READ_MODELS_SCHEMA
    return set(inspect(connection).get_table_names(schema))


def tables_of_rows(connection: Connection) -> set[str]:
    """Those that this connection sees in a file of rows."""
    if not _sees_rows(connection):
        return set()
    return set(inspect(connection).get_table_names(ROWS_SCHEMA))


def _sees_rows(connection: Connection) -> bool:
    """Whether a file of rows is attached, in which positions stand."""
    if connection.dialect.name != "sqlite" or not sees_rows(connection):
        return False
    return inspect(connection).has_table(_OF_ROWS.name, ROWS_SCHEMA)


def position_rows(connection: Connection) -> list[str]:
    """The rows there are, each as the names that it is for."""
    rows = connection.execute(select(POSITIONS.c.read_models)).scalars()
    return [row for row in rows if isinstance(row, str)]  # SQLite takes anything


def forget(connection: Connection, rows: Iterable[str]) -> None:
    """Remove these of them."""
    connection.execute(delete(POSITIONS).where(POSITIONS.c.read_models.in_(list(rows))))
