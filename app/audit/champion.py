"""Who serves and why: the promotion's verdict, or the reason of the rollback."""

from __future__ import annotations

from dataclasses import dataclass

from app.audit.setting_aside import set_aside_sentence
from app.ledger.known_damage import refuse_to_lack
from app.ledger.reading import read_entries, stream_entries
from app.ledger.store import Connection
from app.ledger.streams import cycle_stream
from app.projections.cycles import cycles_kept
from app.projections.models import ModelView
from domain.errors import UnknownThing
from domain.events.cycle_events import CandidateCompared
from domain.events.events import ChampionRolledBack


@dataclass(frozen=True, slots=True, kw_only=True)
class ChampionTold:
    """The champion in words, the same wherever it is shown."""

    model_version: str
    since: str  # when the ledger took the promotion or the rollback, UTC
    as_of: str | None  # the promoting cycle's, UTC; None after a rollback
    trained_until: str  # UTC, exclusive
    plan_sha256: str
    sentence: str  # 'Promoted by car-price-12: RMSE 0.2131 beats 0.2304 on 53 rows.'


def champion_told(connection: Connection, model: ModelView) -> ChampionTold | None:
    """Who serves and why; None: nobody does."""
    if model.champion is None:
        return None
    return ChampionTold(
        model_version=model.champion,
        since=model.champion_since or "",
        as_of=model.champion_as_of,
        trained_until=model.trained_until or "",
        plan_sha256=model.plan_sha256 or "",
        sentence=_sentence(connection, model),
    )


def _sentence(connection: Connection, model: ModelView) -> str:
    aside = _set_aside(connection, model)
    return f"{_came_to_serve(connection, model)} {aside}".rstrip()


def _set_aside(connection: Connection, model: ModelView) -> str:
    """By whom, and why, the cycle that made who serves was set aside; empty: it counts."""
    cycle = model.champion_cycle or ""
    try:
        kept = cycles_kept(connection, [cycle])[cycle]
    except UnknownThing:
        return ""  # a promotion by a cycle nobody started
    return set_aside_sentence(kept.set_aside_by, kept.set_aside_reason)


def _came_to_serve(connection: Connection, model: ModelView) -> str:
    at = model.promoted_position
    for entry in () if at is None else read_entries(connection, at - 1, 1, up_to=at):
        refuse_to_lack(connection, [entry])
        if isinstance(entry.event, ChampionRolledBack):
            return f"Rolled back from {entry.event.replaced}: {entry.event.reason}"
    cycle = model.champion_cycle or ""
    entries = stream_entries(connection, cycle_stream(cycle))
    for entry in entries:
        if isinstance(entry.event, CandidateCompared):
            return f"Promoted by {cycle}: {entry.event.reason.removesuffix('.')}."
    refuse_to_lack(connection, entries)
    return f"Promoted by {cycle}."
