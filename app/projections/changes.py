"""What changed what serves or how it is judged: one row a change, in the order of the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    func,
    select,
    true,
    union_all,
)

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.ledger.streams import cycle_stream
from app.projections.cycles import completes_training, cycle_of
from app.projections.read_model import json_text, table_of, views_of
from domain.events.cycle_events import (
    CandidateCompared,
    CandidateEvaluated,
    CandidateRefitted,
    CandidateTrained,
    CycleEvent,
    CycleFailed,
    CycleHalted,
    CycleStarted,
    Decided,
    NotDecided,
    ParityChecked,
    PromotionSettled,
    TrainingFailed,
)
from domain.events.envelope import Recorded, event_data
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    ContractAdopted,
    DamageFound,
    DamageSettled,
    PayloadErased,
    PolicyAdopted,
)
from domain.events.verdicts import NOT_DECIDED

Kind = Literal[
    "decided",
    "override",
    "not decided",
    "promoted",
    "rejected",
    "rolled back",
    "halted",
    "failed",
    "contract adopted",
    "policy adopted",
    "erased",
    "set aside",
    "damage found",
    "damage settled",
]
_STATEMENTS_REMEMBERED: Final = 64
DECISIONS_AMONG: Final[frozenset[Kind]] = frozenset({"decided", "override", "not decided"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeView:
    """One change as recorded."""

    position: int
    id: str  # of its event
    kind: Kind
    model: str | None  # None: a policy or damage, which no one model owns
    occurred_at: str
    recorded_at: str
    actor: str
    as_of: str | None  # of its cycle; None outside of one
    outcome: str | None  # of a decision; None for any other change
    cycle: str | None  # the cycle it is a step of, or came of
    model_version: str | None  # who was promoted, turned away, or serves again
    digest: str | None  # of the contract or policy document, or of that version's serving plan
    reason: str  # why, as recorded; empty where nobody said
    body: dict[str, Any]  # data of the event


CHANGES: Final = table_of(
    ChangeView,
    "changes",
    number=4,
    key="position",
    unique="id",
    indexes=[("model", "position"), ("model", "kind", "position")],
)


def list_changes(  # noqa: PLR0913 each is a bound of its own
    connection: Connection,
    *,
    model: str | None = None,
    outcome: str | None = None,
    kinds: Collection[Kind] | None = None,
    since: str | None = None,
    until: str | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 500,
) -> list[ChangeView]:
    """At most `limit` changes, newest first; from `after` on, oldest first.

    `model` leaves out other models', and keeps what no one model owns. `since` (inclusive) and
    `until` (exclusive) bound the cycle's `as_of`, or when it occurred outside of a cycle; `before`
    and `after` are positions to page on from, both exclusive.
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
    statement = _statement(frozenset(given), None if kinds is None else frozenset(kinds))
    rows = connection.execute(statement, {**given, "limit": limit})
    return views_of(ChangeView, rows)


_POSITION: Final = CHANGES.c.position
_MOMENT: Final = func.coalesce(CHANGES.c.as_of, CHANGES.c.occurred_at)
_BOUNDS: Final = {
    "outcome": CHANGES.c.outcome == bindparam("outcome"),
    "since": _MOMENT >= bindparam("since"),
    "until": _MOMENT < bindparam("until"),
    "before": _POSITION < bindparam("before"),
    "after": _POSITION > bindparam("after"),
}


@lru_cache(maxsize=_STATEMENTS_REMEMBERED)
def _statement(given: frozenset[str], kinds: frozenset[Kind] | None) -> Select[Any]:
    """The statement for these bounds, whatever their values: it takes longer to make than to run.

    An index in the order of the answer serves each part: no more is read of it than is shown.
    """
    order = _POSITION.asc() if "after" in given else _POSITION.desc()
    bounds = [bound for name, bound in _BOUNDS.items() if name in given]
    limit = bindparam("limit", type_=Integer())
    parts = [
        select(_POSITION).where(*part, *bounds).order_by(order).limit(limit).subquery()
        for part in _parts("model" in given, kinds)
    ]
    meant = union_all(*(select(part.c.position) for part in parts))
    return select(CHANGES).where(_POSITION.in_(meant)).order_by(order).limit(limit)


def _parts(
    of_model: bool, kinds: Collection[Kind] | None
) -> Iterator[tuple[ColumnElement[bool], ...]]:
    """What of the changes is meant, cut so that an index gives each part by position."""
    mine = CHANGES.c.model == bindparam("model")
    owners = (mine, CHANGES.c.model.is_(None)) if of_model else (true(),)
    for owner in owners:
        if kinds is None:
            yield (owner,)
        else:
            for kind in sorted(kinds):
                yield owner, CHANGES.c.kind == kind


@dataclass(frozen=True, slots=True, kw_only=True)
class _About:
    """What of a change its envelope does not say."""

    kind: Kind
    model: str | None
    as_of: str | None = None
    outcome: str | None = None
    cycle: str | None = None
    model_version: str | None = None
    digest: str | None = None
    reason: str = ""


_OF_ABOUT: Final = tuple(field.name for field in fields(_About))
_OF_ENTRY: Final = ("position", "id", "occurred_at", "recorded_at", "actor")


def _changed(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    rows = []
    for entry, about in _abouts(past, entries):
        row: dict[str, object] = {name: getattr(entry, name) for name in _OF_ENTRY}
        row |= {name: getattr(about, name) for name in _OF_ABOUT}
        row["body"] = json_text(event_data(entry.event))
        rows.append(tuple(row[column.name] for column in CHANGES.columns))
    if rows:
        insert_rows(connection, CHANGES, rows)


def _abouts(past: Past, entries: Sequence[Recorded]) -> Iterator[tuple[Recorded, _About]]:
    for entry in entries:
        about = _step(past, entry) if type(entry.event) in _STEPS else _named(past, entry)
        if about is not None:
            yield entry, about


def _named(past: Past, entry: Recorded) -> _About | None:
    """What is no step of a cycle that has started."""
    match entry.event:
        case CycleStarted(sets_aside=aside) as event if aside:
            return _About(
                kind="set aside",
                model=event.model,
                as_of=event.as_of,
                cycle=event.cycle,
                reason=event.reason or "",
            )
        case ContractAdopted(model=model, contract_digest=digest):
            return _About(kind="contract adopted", model=model, digest=digest)
        case PolicyAdopted(policy_digest=digest):
            return _About(kind="policy adopted", model=None, digest=digest)
        case PayloadErased(model=model, reason=reason):
            return _About(kind="erased", model=model, reason=reason)
        case DamageFound(said=why) | DamageSettled(reason=why):
            found = isinstance(entry.event, DamageFound)
            return _About(
                kind="damage found" if found else "damage settled", model=None, reason=why
            )
        case ChampionRolledBack() as event:
            return _About(
                kind="rolled back",
                model=event.model,
                model_version=event.model_version,
                digest=event.plan_sha256,
                reason=event.reason,
            )
        case CandidatePromoted() as event:
            compared = past.latest(cycle_stream(event.cycle), CandidateCompared, entry.position)
            refitted = past.latest(cycle_stream(event.cycle), CandidateRefitted, entry.position)
            return _About(
                kind="promoted",
                model=event.model,
                as_of=event.as_of,
                cycle=event.cycle,
                model_version=event.model_version,
                digest=event.plan_sha256,
                reason=" ".join(each.reason for each in (compared, refitted) if each),
            )
        case _:
            return None


def _step(past: Past, entry: Recorded) -> _About | None:
    """What a step of a cycle changed; None: nothing, or nobody started the cycle."""
    begun = past.latest(entry.stream, CycleStarted, entry.position)
    if begun is None:
        return None
    cycle = {"model": begun.model, "as_of": begun.as_of, "cycle": cycle_of(entry)}
    match entry.event:
        case Decided() as event:
            return _About(
                kind="override" if event.outcome == "override" else "decided",
                outcome=event.outcome,
                digest=event.verdict.policy_digest,
                reason=event.force.reason if event.force else "",
                **cycle,
            )
        case NotDecided() as event:
            return _About(
                kind=NOT_DECIDED,
                outcome=NOT_DECIDED,
                digest=event.policy_digest,
                reason=event.reason,
                **cycle,
            )
        case CycleHalted(reason=reason):
            return _About(kind="halted", reason=reason, **cycle)
        case CycleFailed(reason=reason) | TrainingFailed(reason=reason):
            return _About(kind="failed", reason=reason, **cycle)
        case ParityChecked() | CandidateEvaluated() | CandidateCompared() | PromotionSettled():
            if completes_training(entry) is not False:
                return None  # a gate that was passed; the promotion is an event of the model
            trained = past.latest(entry.stream, CandidateTrained, entry.position)
            return _About(
                kind="rejected",
                model_version=trained.candidate if trained else None,
                digest=trained.plan_sha256 if trained else None,
                reason=entry.event.reason,
                **cycle,
            )
        case _:
            return None


_STEPS: Final[frozenset[type[CycleEvent]]] = frozenset(
    {
        Decided,
        NotDecided,
        CycleHalted,
        CycleFailed,
        TrainingFailed,
        ParityChecked,
        CandidateEvaluated,
        CandidateCompared,
        PromotionSettled,
    }
)
APPLY: Final = dict.fromkeys(
    (
        ContractAdopted,
        PolicyAdopted,
        PayloadErased,
        DamageFound,
        DamageSettled,
        CandidatePromoted,
        ChampionRolledBack,
        CycleStarted,
        *sorted(_STEPS, key=lambda step: step.type),
    ),
    _changed,
)
