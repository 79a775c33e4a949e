"""Undo of every upcast: what today's code reads, as an older version would have written it."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, text

from domain.canonical import canonical_bytes

ADDED_AFTER_1 = "never_retrained"  # to the verdict of cycle.decided, by schema 2


def as_first_written(document: dict[str, Any], schema: int) -> dict[str, Any]:
    """An envelope of the current version as that of a version that knew only `schema`."""
    if document["type"] == "cycle.decided" and schema == 1:
        del document["data"]["verdict"][ADDED_AFTER_1]
    return document | {"schema": schema}


def undo_in_read_models(connection: Connection) -> None:
    """Leave the read models as the version before `cycle.decided` schema 2 would have."""
    for table, key, column in (("decisions", "position", "body"), ("cycles", "cycle", "state")):
        for name, content in connection.execute(text(f"SELECT {key}, {column} FROM {table}")).all():
            document = orjson.loads(content)
            decided = document if table == "decisions" else document.get("cycle.decided", {})
            if "verdict" in decided:
                del decided["verdict"][ADDED_AFTER_1]
            connection.execute(
                text(f"UPDATE {table} SET {column} = :content WHERE {key} = :name"),
                {"content": canonical_bytes(document).decode(), "name": name},
            )
