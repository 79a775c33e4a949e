"""Every version that ever was promoted, and what is needed to serve it or judge by it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import orjson
from sqlalchemy import Connection, select

from app.projections.rows import put
from app.projections.tables import CHAMPIONS, CYCLES
from domain.errors import UnknownThing
from domain.events.cycle_events import CandidateTrained
from domain.events.envelope import Recorded
from domain.events.events import CandidatePromoted


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionView:
    """A version that was promoted; whether it serves now is the model's to say."""

    model_version: str
    model: str
    plan_sha256: str
    reference_sha256: str
    replaced: str | None  # who served before its promotion
    trained_from: str | None  # first event time of its training rows, inclusive
    trained_until: str  # end of their event time, exclusive
    training_rows: int
    as_of: str  # of the cycle that promoted it
    cycle: str
    registry_run: str | None
    position: int  # of its promotion


def get_champion(connection: Connection, model: str, model_version: str) -> ChampionView:
    """That version. Raises UnknownThing when it never was promoted."""
    row = connection.execute(
        select(CHAMPIONS).where(
            CHAMPIONS.c.model == model, CHAMPIONS.c.model_version == model_version
        )
    ).one_or_none()
    if row is None:
        raise UnknownThing(f"{model_version!r} never was champion of {model!r}.")
    return ChampionView(**row._mapping)


def _promoted(connection: Connection, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(CandidatePromoted, entry.event)
        trained = _training_of(connection, event.cycle)
        put(
            connection,
            CHAMPIONS,
            {
                "model_version": event.model_version,
                "model": event.model,
                "plan_sha256": event.plan_sha256,
                "reference_sha256": event.reference_sha256,
                "replaced": event.replaced,
                "trained_from": trained.get("trained_from"),
                "trained_until": event.trained_until,
                "training_rows": trained.get("training_rows", 0),
                "as_of": event.as_of,
                "cycle": event.cycle,
                "registry_run": event.registry_run,
                "position": entry.position,
            },
        )


def _training_of(connection: Connection, cycle: str) -> dict[str, object]:
    """What the cycle's training left; empty where none is recorded."""
    state = connection.execute(
        select(CYCLES.c.state).where(CYCLES.c.cycle == cycle)
    ).scalar_one_or_none()
    found: dict[str, object] = orjson.loads(state or "{}").get(CandidateTrained.type, {})
    return found


APPLY: Final = {CandidatePromoted: _promoted}
