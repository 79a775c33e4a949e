"""Undo of every upcast: what today's code reads, as an older version would have written it."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from app.projections.decisions import DECISIONS
from domain.canonical import canonical_bytes
from domain.events.cycle_events import Decided

ADDED: dict[tuple[str, int], tuple[tuple[str, ...], ...]] = {  # (type, schema) -> its new fields
    ("cycle.decided", 2): (("verdict", "never_retrained"),),
    ("cycle.decided", 3): (("verdict", "nodes"),),
    ("cycle.drift-measured", 2): (
        *(("clean_rate",), ("error_increase",)),
        *(("residual_evidence",), ("residuals_sha256",)),
    ),
    ("cycle.drift-measured", 3): (
        *(("refit_comparison",), ("report", "test"), ("report", "too_few")),
    ),
    ("cycle.candidate-trained", 2): (("residuals_sha256",),),
    ("cycle.started", 2): (("rules",), ("serves",), ("sets_aside",), ("reason",)),
    ("cycle.window-guarded", 2): (("labels",),),
    ("cycle.halted", 2): (("labels",),),
    ("cycle.data-merged", 2): (("left_out",), ("holdout_share",), ("window_attempt",)),
    ("cycle.parity-checked", 2): (("feature",),),
    ("cycle.candidate-compared", 2): (("interval",), ("confidence_min",)),
    ("cycle.candidate-compared", 3): (("refit",),),
    ("cycle.health-reported", 2): (
        *(("halted",), ("failed",), ("undecided",)),
        *(("window_error",), ("window_interval",), ("window_labelled",)),
        ("value_interval",),
    ),
    ("ledger.payload-erased", 2): (("rows",),),
    ("observations.dataset-received", 2): (("also",),),
    ("observations.observation-recorded", 2): (("extensions",),),
    ("observations.outcome-recorded", 2): (("extensions",),),
}


def as_first_written(document: dict[str, Any], schema: int) -> dict[str, Any]:
    """An envelope of the current version as that of a version that knew only `schema`."""
    for (kind, since), added in ADDED.items():
        for *outer, field in added if document["type"] == kind and schema < since else ():
            inner = document["data"]
            for name in outer:
                inner = inner[name]
            if inner is not None:
                del inner[field]
    return document | {"schema": schema}


def undo_in_read_models(connection: Connection, schema: int) -> None:
    """Leave the decisions as the version that knew only this schema of `cycle.decided` would."""
    rows = connection.execute(select(DECISIONS.c["position"], DECISIONS.c["body"])).all()
    for position, content in rows:
        decided = orjson.loads(content)
        for (kind, since), added in ADDED.items():
            for outer, field in added if kind == Decided.type and schema < since else ():
                decided.get(outer, {}).pop(field, None)
        changed = {"body": canonical_bytes(decided).decode()}
        connection.execute(
            update(DECISIONS).where(DECISIONS.c["position"] == position).values(changed)
        )
