"""Undo of every upcast: what today's code reads, as an older version would have written it."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from app.projections.cycles import CYCLES
from app.projections.decisions import DECISIONS
from domain.canonical import canonical_bytes

ADDED_AFTER_1 = "never_retrained"  # to the verdict of cycle.decided, by schema 2


def as_first_written(document: dict[str, Any], schema: int) -> dict[str, Any]:
    """An envelope of the current version as that of a version that knew only `schema`."""
    if document["type"] == "cycle.decided" and schema == 1:
        del document["data"]["verdict"][ADDED_AFTER_1]
    return document | {"schema": schema}


def undo_in_read_models(connection: Connection) -> None:
    """Leave the read models as the version before `cycle.decided` schema 2 would have."""
    for table, key, column in ((DECISIONS, "position", "body"), (CYCLES, "cycle", "state")):
        for name, content in connection.execute(select(table.c[key], table.c[column])).all():
            document = orjson.loads(content)
            decided = document if table is DECISIONS else document.get("cycle.decided", {})
            if "verdict" in decided:
                del decided["verdict"][ADDED_AFTER_1]
            changed = {column: canonical_bytes(document).decode()}
            connection.execute(update(table).where(table.c[key] == name).values(changed))
