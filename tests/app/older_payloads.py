"""Undo of every upcast: what today's code reads, as an older version would have written it."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from app.projections.decisions import DECISIONS
from domain.canonical import canonical_bytes

ADDED: dict[tuple[str, int], tuple[tuple[str, ...], ...]] = {  # (type, schema) -> its new fields
    ("cycle.decided", 2): (("verdict", "never_retrained"),),
    ("cycle.started", 2): (("rules",),),
    ("cycle.drift-measured", 2): (
        *(("clean_rate",), ("error_increase",)),
        *(("residual_evidence",), ("residuals_sha256",)),
    ),
    ("cycle.candidate-trained", 2): (("residuals_sha256",),),
}


def as_first_written(document: dict[str, Any], schema: int) -> dict[str, Any]:
    """An envelope of the current version as that of a version that knew only `schema`."""
    for (kind, since), added in ADDED.items():
        for *outer, field in added if document["type"] == kind and schema < since else ():
            inner = document["data"]
            for name in outer:
                inner = inner[name]
            del inner[field]
    return document | {"schema": schema}


def undo_in_read_models(connection: Connection) -> None:
    """Leave the decisions as the version before `cycle.decided` schema 2 would have."""
    rows = connection.execute(select(DECISIONS.c["position"], DECISIONS.c["body"])).all()
    for position, content in rows:
        decided = orjson.loads(content)
        if "verdict" in decided:
            del decided["verdict"]["never_retrained"]
        changed = {"body": canonical_bytes(decided).decode()}
        connection.execute(
            update(DECISIONS).where(DECISIONS.c["position"] == position).values(changed)
        )
