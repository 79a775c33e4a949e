"""The decisions: what was decided and why, clause by clause, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import timedelta
from operator import attrgetter
from threading import Lock
from typing import Any, Final, TypedDict, Unpack

from cachetools import LRUCache

from app.audit.clauses import Clause
from app.audit.cycle import CycleTold, read_of
from app.ledger.store import Connection
from app.projections.cycles import CycleKept, cycles_kept
from app.projections.decisions import (
    DecisionView,
    decisions_at,
    get_decision,
    list_decisions,
)
from app.projections.read_model import object_of
from domain.decisions.cycle import RETRAINING
from domain.times import format_time, parse_time
from rules.facts import RETRAINING_FACT

_OF_CYCLE: Final = tuple(field.name for field in fields(CycleTold))
_CHARACTERS_REMEMBERED: Final = 2_000_000  # of decisions and their cycles: some 130 ordinary ones


class Bounds(TypedDict, total=False):
    """Which decisions are asked for: `since` (inclusive) and `until` (exclusive) are on `as_of`."""

    model: str | None
    outcome: str | None
    since: str | None
    until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(CycleTold):
    """One decision as recorded, in words, with what came of it."""

    id: str  # of its event
    position: int
    occurred_at: str
    recorded_at: str
    earliest_retraining: str | None  # UTC; None: no cool-down holds back, or it is unknown
    decision: dict[str, Any]  # the event's data, whole: facts, clauses, trace


def decision(connection: Connection, id: str) -> Decision:
    """The decision with this id. Raises UnknownThing."""
    (told,) = _told(connection, [get_decision(connection, id)])
    return told


def decisions(
    connection: Connection,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 500,
    **bounds: Unpack[Bounds],
) -> list[Decision]:
    """At most `limit` decisions within the bounds, newest first; from `after` on, oldest first.

    `before` and `after` are positions to page on from, both exclusive.
    """
    found = list_decisions(connection, before=before, after=after, limit=limit, **bounds)
    return _told(connection, found)


def decisions_told(connection: Connection, positions: Sequence[int]) -> dict[int, Decision]:
    """The decisions at these positions, by position."""
    found = _told(connection, decisions_at(connection, positions))
    return {each.position: each for each in found}


def _told(connection: Connection, views: Sequence[DecisionView]) -> list[Decision]:
    cycles = cycles_kept(connection, [view.cycle for view in views])
    return [_of_cycle(view, cycles[view.cycle]) for view in views]


@dataclass(frozen=True, slots=True)
class _Remembered:
    """One decision, and what it was told from."""

    view: DecisionView
    kept: CycleKept
    decision: Decision

    @property
    def characters(self) -> int:
        return len(self.view.body) + len(self.kept.state)


_LATELY: Final[LRUCache[int, _Remembered]] = LRUCache(
    _CHARACTERS_REMEMBERED, attrgetter("characters")
)
_TELLING: Final = Lock()


def _of_cycle(view: DecisionView, kept: CycleKept) -> Decision:
    """It follows from both as they are kept alone, so it is remembered beside them.

    They are compared, for to look them up by their texts takes ten times as long.
    """
    with _TELLING:
        known = _LATELY.get(view.position)
    if known is not None and known.view == view and known.kept == kept:
        return known.decision
    told = read_of(kept).told
    decision = Decision(
        **{name: getattr(told, name) for name in _OF_CYCLE},
        id=view.id,
        position=view.position,
        occurred_at=view.occurred_at,
        recorded_at=view.recorded_at,
        earliest_retraining=_earliest_retraining(told),
        decision=object_of("body", DecisionView, view.body),
    )
    with _TELLING, suppress(ValueError):  # it may be larger than all that is remembered
        _LATELY[view.position] = _Remembered(view, kept, decision)
    return decision


def _earliest_retraining(told: CycleTold) -> str | None:
    """The end of the cool-down as this decision knew it; one to retrain begins it anew.

    One that was set aside counts no more: the cool-down is that of the cycles that do.
    """
    if told.set_aside_by is not None:
        return None
    clause: Clause | None = next((c for c in told.clauses if c.fact == RETRAINING_FACT), None)
    if clause is None:
        return None
    if told.outcome in RETRAINING:
        hours = clause.threshold
    elif clause.observed is None or clause.verdict == "met":
        return None
    else:
        hours = clause.threshold - clause.observed
    return format_time(parse_time(told.as_of) + timedelta(hours=hours))
