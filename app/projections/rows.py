"""How read models keep JSON, and how they write one row that may be there already."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from domain.canonical import canonical_bytes


def json_text(value: object) -> str:
    """`value` as canonical JSON text: one value, one text, on every database."""
    return canonical_bytes(value).decode()


def put(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert `row`, or replace the columns it names in the row with the same primary key."""
    key = [column.name for column in table.primary_key.columns]
    rest = {name: value for name, value in row.items() if name not in key}
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(
        insert(table).values(row).on_conflict_do_update(index_elements=key, set_=rest)
    )
