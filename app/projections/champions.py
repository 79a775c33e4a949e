"""Every version that ever was promoted, and what is needed to serve it or judge by it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, bindparam, select

from app.ledger.past import Past
from app.ledger.streams import cycle_stream
from app.projections.read_model import put, table_of, view_of
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
    trained_from: str | None  # first event time of its training rows, inclusive; None: unrecorded
    trained_until: str  # end of their event time, exclusive
    training_rows: int
    as_of: str  # of the cycle that promoted it
    cycle: str
    registry_run: str | None
    position: int  # of its promotion


CHAMPIONS: Final = table_of(
    ChampionView, "champions", number=1, key="model_version", indexes=[("model",)]
)


_OF_VERSION: Final = select(CHAMPIONS).where(  # made once: that takes longer than to run it
    CHAMPIONS.c.model == bindparam("of"), CHAMPIONS.c.model_version == bindparam("version")
)


def get_champion(connection: Connection, model: str, model_version: str) -> ChampionView:
    """That version. Raises UnknownThing when it never was promoted."""
    asked = {"of": model, "version": model_version}
    row = connection.execute(_OF_VERSION, asked).one_or_none()
    if row is None:
        raise UnknownThing(
            f"{model_version!r} never was champion of {model!r}. Who was: GET /audit/decisions."
        )
    return view_of(ChampionView, row)


def _promoted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(CandidatePromoted, entry.event)
        trained = past.latest(cycle_stream(event.cycle), CandidateTrained, entry.position)
        put(
            connection,
            CHAMPIONS,
            {
                "model_version": event.model_version,
                "model": event.model,
                "plan_sha256": event.plan_sha256,
                "reference_sha256": event.reference_sha256,
                "replaced": event.replaced,
                "trained_from": trained.trained_from if trained else None,
                "trained_until": event.trained_until,
                "training_rows": trained.training_rows if trained else 0,
                "as_of": event.as_of,
                "cycle": event.cycle,
                "registry_run": event.registry_run,
                "position": entry.position,
            },
        )


APPLY: Final = {CandidatePromoted: _promoted}
