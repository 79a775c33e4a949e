"""The labels in force for given rows: what an upload is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, func, select

from app.projections.tables import LABELS
from domain.events import Row


def latest_rows(connection: Connection, model: str, identities: Sequence[str]) -> dict[str, Row]:
    """Row identity -> its labelled row in force, for those of `identities` that have one."""
    latest = (
        select(func.max(LABELS.c.position))
        .where(LABELS.c.model == model, LABELS.c.identity.in_(list(identities)))
        .group_by(LABELS.c.identity)
    )
    rows = connection.execute(
        select(LABELS.c.identity, LABELS.c.row).where(LABELS.c.position.in_(latest))
    )
    return {row.identity: orjson.loads(row.row) for row in rows}
