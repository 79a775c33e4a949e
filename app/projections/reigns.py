"""Every reign of every model, and what its champion was worth in it, as last measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Connection, bindparam, select, update

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.projections.read_model import table_of, view_of, views_of
from domain.canonical import INTEGER_MAX
from domain.events.envelope import Recorded
from domain.events.events import CandidatePromoted, ChampionRolledBack, ValueMeasured

_AT_ONCE: Final = 20  # reigns


@dataclass(frozen=True, slots=True, kw_only=True)
class ReignView:
    """One champion from its promotion or rollback on."""

    since: int  # position of that promotion or rollback
    model: str
    model_version: str
    previous: str | None  # who served before; None: nobody did
    ended: bool
    measured_position: int | None  # of the last measurement; None: none yet
    as_of: str | None  # of it, UTC
    served_rows: int
    labelled_rows: int
    value: float | None  # in `unit`; None: see the note
    low: float | None  # of its 95 % interval
    high: float | None
    groups: int | None  # that the interval is over
    unit: str | None
    retraining_cost: float | None  # in `unit`
    note: str  # why there is no value or interval, and what was left out; or empty


REIGNS: Final = table_of(ReignView, "reigns", number=1, key="since", indexes=[("model",)])


_NEWEST: Final = (  # made once: that takes longer than to run it
    select(REIGNS)
    .where(REIGNS.c.model == bindparam("of"), REIGNS.c.since <= bindparam("up_to"))
    .order_by(REIGNS.c.since.desc())
    .limit(1)
)


_MEASUREMENT: Final = update(REIGNS).where(
    REIGNS.c.since == bindparam("of_since"), REIGNS.c.model == bindparam("of_model")
)


def reigns_of(connection: Connection, model: str) -> list[ReignView]:
    """The model's reigns, oldest first."""
    rows = connection.execute(
        select(REIGNS).where(REIGNS.c.model == model).order_by(REIGNS.c.since)
    )
    return views_of(ReignView, rows)


def reigns_newest_first(
    connection: Connection, model: str, *, up_to: int | None = None
) -> Iterator[ReignView]:
    """The model's reigns, newest first, read as they are asked for; up to a position."""
    query = select(REIGNS).where(REIGNS.c.model == model).order_by(REIGNS.c.since.desc())
    before = None if up_to is None else up_to + 1
    while True:
        page = query if before is None else query.where(REIGNS.c.since < before)
        rows = connection.execute(page.limit(_AT_ONCE)).all()
        for row in rows:
            yield view_of(ReignView, row)
        if len(rows) < _AT_ONCE:
            return
        before = rows[-1].since


def newest_reign(
    connection: Connection, model: str, *, up_to: int | None = None
) -> ReignView | None:
    """The model's last reign that began up to a position; None before anybody served."""
    asked = {"of": model, "up_to": INTEGER_MAX if up_to is None else up_to}
    row = connection.execute(_NEWEST, asked).one_or_none()
    return None if row is None else view_of(ReignView, row)


def _began(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = entry.event
        assert isinstance(event, CandidatePromoted | ChampionRolledBack)  # noqa: S101 - narrows
        connection.execute(update(REIGNS).where(REIGNS.c.model == event.model).values(ended=1))
        row = dict.fromkeys(column.name for column in REIGNS.columns) | {
            "since": entry.position,
            "model": event.model,
            "model_version": event.model_version,
            "previous": event.replaced,
            "ended": 0,
            "served_rows": 0,
            "labelled_rows": 0,
            "note": "not measured yet",
        }
        insert_rows(connection, REIGNS, [tuple(row.values())])


def _measured(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(ValueMeasured, entry.event)
        interval = event.interval
        measured = {
            "measured_position": entry.position,
            "as_of": event.as_of,
            "served_rows": event.served_rows,
            "labelled_rows": event.labelled_rows,
            "value": event.value,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
            "groups": interval.groups if interval else None,
            "unit": event.unit,
            "retraining_cost": event.retraining_cost,
            "note": event.note,
        }
        of = {"of_since": event.since, "of_model": event.model}
        connection.execute(_MEASUREMENT, {**of, **measured})


APPLY: Final = {
    CandidatePromoted: _began,
    ChampionRolledBack: _began,
    ValueMeasured: _measured,
}
