"""Every decision, the undecided ones included: what was concluded, when, and the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.cycles import cycle_of
from app.projections.read_model import json_text, table_of, view_of
from domain.errors import UnknownThing
from domain.events.cycle_events import CycleStarted, Decided, NotDecided
from domain.events.envelope import Recorded, event_data
from domain.events.verdicts import NOT_DECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """One decision as recorded."""

    position: int
    id: str  # of its event
    model: str
    cycle: str
    outcome: str  # NOT_DECIDED when the evaluations disagreed
    as_of: str
    occurred_at: str
    recorded_at: str
    sentence: str
    body: dict[str, Any]  # data of the event


DECISIONS: Final = table_of(
    DecisionView,
    "decisions",
    number=3,
    key="position",
    unique="id",
    indexes=[
        ("model", "position"),
        ("outcome", "position"),
        ("model", "outcome", "position"),
        ("as_of", "outcome", "position"),
        ("model", "as_of", "outcome", "position"),
    ],
)


def get_decision(connection: Connection, id: str) -> DecisionView:
    """The decision with this id. Raises UnknownThing."""
    row = connection.execute(select(DECISIONS).where(DECISIONS.c.id == id)).one_or_none()
    if row is None:
        raise UnknownThing.decision(id)
    return view_of(DecisionView, row)


def list_decisions(
    connection: Connection,
    *,
    model: str | None = None,
    outcome: str | None = None,
    since: str | None = None,
    until: str | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 500,
) -> list[DecisionView]:
    """At most `limit` decisions, newest first; from `after` on, oldest first.

    `since` (inclusive) and `until` (exclusive) bound `as_of`; `before` and `after` are positions to
    page on from, both exclusive. What is read grows with the decisions that are meant, not with
    those there are.
    """
    position = DECISIONS.c.position
    query = select(position)
    if model is not None:
        query = query.where(DECISIONS.c.model == model)
    if outcome is not None:
        query = query.where(DECISIONS.c.outcome == outcome)
    if since is not None:
        query = query.where(DECISIONS.c.as_of >= since)
    if until is not None:
        query = query.where(DECISIONS.c.as_of < until)
    if before is not None:
        query = query.where(position < before)
    if after is not None:
        query = query.where(position > after)
    # A bound on `as_of` is looked up by it, not met on a walk by position: hence the sum.
    by = position if since is None and until is None else position + 0
    meant = query.order_by(by.desc() if after is None else by.asc()).limit(limit)
    order = position.desc() if after is None else position.asc()
    rows = connection.execute(select(DECISIONS).where(position.in_(meant)).order_by(order))
    return [view_of(DecisionView, row) for row in rows]


def decisions_at(connection: Connection, positions: Sequence[int]) -> list[DecisionView]:
    """The decisions at these positions, oldest first."""
    position = DECISIONS.c.position
    found = connection.execute(
        select(DECISIONS).where(position.in_(list(positions))).order_by(position)
    )
    return [view_of(DecisionView, row) for row in found]


def _decided(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = entry.event
        assert isinstance(event, Decided | NotDecided)  # noqa: S101 - narrows for the checker
        cycle = past.latest(entry.stream, CycleStarted, entry.position)
        if cycle is None:
            continue  # a step of a cycle nobody started
        row = (
            entry.position,
            entry.id,
            cycle.model,
            cycle_of(entry),
            event.outcome if isinstance(event, Decided) else NOT_DECIDED,
            cycle.as_of,
            entry.occurred_at,
            entry.recorded_at,
            event.sentence,
            json_text(event_data(event)),
        )
        insert_rows(connection, DECISIONS, [row])


APPLY: Final = {Decided: _decided, NotDecided: _decided}
