"""Every decision, the undecided ones included: what was concluded, when, and the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, bindparam, select

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.cycles import cycle_of
from app.projections.read_model import json_text, table_of, view_of, views_of
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
    body: str  # data of the event, as canonical JSON


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
    asked = {
        "model": model,
        "outcome": outcome,
        "since": since,
        "until": until,
        "before": before,
        "after": after,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    rows = connection.execute(_statement(frozenset(given)), {**given, "limit": limit})
    return views_of(DecisionView, rows)


_POSITION: Final = DECISIONS.c.position
_BOUNDS: Final = {
    "model": DECISIONS.c.model == bindparam("model"),
    "outcome": DECISIONS.c.outcome == bindparam("outcome"),
    "since": DECISIONS.c.as_of >= bindparam("since"),
    "until": DECISIONS.c.as_of < bindparam("until"),
    "before": _POSITION < bindparam("before"),
    "after": _POSITION > bindparam("after"),
}


@cache
def _statement(given: frozenset[str]) -> Select[Any]:
    """The statement for these bounds, whatever their values: it takes longer to make than to run.

    A bound on `as_of` is looked up by it, not met on a walk by position: hence the sum.
    """
    bounds = [bound for name, bound in _BOUNDS.items() if name in given]
    by = _POSITION if given.isdisjoint({"since", "until"}) else _POSITION + 0
    oldest_first = "after" in given
    meant = select(_POSITION).where(*bounds).order_by(by.asc() if oldest_first else by.desc())
    order = _POSITION.asc() if oldest_first else _POSITION.desc()
    limit = bindparam("limit", type_=Integer())
    return select(DECISIONS).where(_POSITION.in_(meant.limit(limit))).order_by(order)


def decisions_at(connection: Connection, positions: Sequence[int]) -> list[DecisionView]:
    """The decisions at these positions, oldest first."""
    if not positions:
        return []
    position = DECISIONS.c.position
    found = connection.execute(
        select(DECISIONS).where(position.in_(list(positions))).order_by(position)
    )
    return views_of(DecisionView, found)


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
