"""The models: contract in force, who serves and since when, and how often what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import Connection, Update, bindparam, select, update

from app.ledger.past import Past
from app.projections.cycles import completes_training
from app.projections.read_model import json_text, put, table_of, view_of, views_of
from domain.decisions.cycle import RETRAINING
from domain.events.cycle_events import (
    CandidateCompared,
    CandidateEvaluated,
    CandidateTrained,
    Conclusion,
    CycleFailed,
    CycleStarted,
    Decided,
    HealthReported,
    ParityChecked,
    PromotionSettled,
)
from domain.events.envelope import Recorded, event_data
from domain.events.events import CandidatePromoted, ChampionRolledBack, ContractAdopted
from domain.events.verdicts import NOT_DECIDED

_COUNTS: Final = (
    "cycles_started",
    "cycles_ended",
    "decisions",
    "trainings",
    "candidates",
    "rejections",
    "promotions",
    "rollbacks",
    "halted",
    "failed",
    "undecided",
)
_EARLY: Final[Mapping[Conclusion, tuple[str, ...]]] = {  # conclusion -> what counts such cycles
    "halted": ("halted",),
    "failed": ("failed",),
    NOT_DECIDED: ("undecided",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """One model as it stands."""

    model: str
    contract_digest: str
    contract: str  # canonical JSON of the document in force
    contract_position: int
    policy: str  # id of the policy the contract names
    target: str  # the target's column
    champion: str | None  # None: none was ever promoted
    plan_sha256: str | None
    reference_sha256: str | None
    champion_since: str | None  # recorded_at of the promotion or rollback
    champion_as_of: str | None  # as_of of the cycle that promoted it
    champion_cycle: str | None
    trained_until: str | None  # end of the champion's training rows' event time, exclusive
    registry_run: str | None
    promoted_position: int | None  # of the promotion or rollback
    last_cycle: str | None
    last_as_of: str | None
    last_retraining_as_of: str | None  # of the last decision to retrain, however it ended
    consumed_until: int | None  # label cut-off of the last completed training
    cycles_started: int
    cycles_ended: int
    decisions: int  # undecided ones do not count
    trainings: int  # started, failed ones included
    candidates: int
    rejections: int
    promotions: int  # by cycles
    rollbacks: int
    halted: int  # cycles that ended so, as the next two
    failed: int
    undecided: int
    health: str | None  # canonical JSON of the last health report
    health_at: str | None  # its recorded_at
    health_position: int | None


MODELS: Final = table_of(ModelView, "models", number=3, key="model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What of a model says who answers for it, and under which contract."""

    model: str
    contract_digest: str
    champion: str | None
    plan_sha256: str | None


_OF_NAME: Final = select(MODELS).where(MODELS.c.model == bindparam("of"))  # made once


def get_model(connection: Connection, model: str) -> ModelView | None:
    """The model; None when no contract was adopted under this name."""
    row = connection.execute(_OF_NAME, {"of": model}).one_or_none()
    return None if row is None else view_of(ModelView, row)


def list_answering(connection: Connection) -> list[Answering]:
    """Who answers for every model, by name; a few hundred bytes each, however long its contract."""
    asked = (MODELS.c[field.name] for field in fields(Answering))
    rows = connection.execute(select(*asked).order_by(MODELS.c.model))
    return views_of(Answering, rows)


def list_models(connection: Connection) -> list[ModelView]:
    """Every model, by name."""
    rows = connection.execute(select(MODELS).order_by(MODELS.c.model))
    return views_of(ModelView, rows)


def _adopted(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(ContractAdopted, entry.event)
        row: dict[str, Any] = {
            "model": event.model,
            "contract_digest": event.contract_digest,
            "contract": json_text(event.contract),
            "contract_position": entry.position,
            "policy": event.contract.get("policy", ""),
            "target": event.contract.get("target", {}).get("name", ""),
        }
        if get_model(connection, event.model) is None:
            put(connection, MODELS, row | dict.fromkeys(_COUNTS, 0))
        else:
            _change(connection, event.model, row)


def _serves(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = entry.event
        assert isinstance(event, CandidatePromoted | ChampionRolledBack)  # noqa: S101 - narrows
        origin = _promotion_of(past, entry)
        counted = "promotions" if isinstance(event, CandidatePromoted) else "rollbacks"
        _change(
            connection,
            event.model,
            {
                "champion": event.model_version,
                "plan_sha256": event.plan_sha256,
                "reference_sha256": event.reference_sha256,
                "champion_since": entry.recorded_at,
                "champion_as_of": origin.as_of if origin else None,
                "champion_cycle": origin.cycle if origin else None,
                "trained_until": event.trained_until,
                "registry_run": event.registry_run,
                "promoted_position": entry.position,
            },
            counted,
        )


def _promotion_of(past: Past, entry: Recorded) -> CandidatePromoted | None:
    """Where who serves from `entry` on came from: the last promotion of that version."""
    event = entry.event
    assert isinstance(event, CandidatePromoted | ChampionRolledBack)  # noqa: S101 - narrows
    if isinstance(event, CandidatePromoted):
        return event
    for earlier in past.newest_first(entry.stream, CandidatePromoted, entry.position):
        promoted = cast(CandidatePromoted, earlier.event)
        if promoted.model_version == event.model_version:
            return promoted
    return None


def _cycle_started(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        event = cast(CycleStarted, entry.event)
        changed = {"last_cycle": event.cycle, "last_as_of": event.as_of}
        _change(connection, event.model, changed, "cycles_started")


def _stepped(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
    for entry in entries:
        cycle = past.latest(entry.stream, CycleStarted, entry.position)
        if cycle is None:
            continue  # a step of a cycle nobody started
        changed, counted = _changed(entry, cycle.as_of)
        completed = completes_training(entry)
        if completed is not None:
            trained = past.latest(entry.stream, CandidateTrained, entry.position)
            changed["consumed_until"] = trained.label_cutoff if trained else None
            if not completed:
                counted = (*counted, "rejections")
        _change(connection, cycle.model, changed, *counted)


def _changed(entry: Recorded, as_of: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the event changes, and what it adds one to."""
    match entry.event:
        case Decided():
            if entry.event.outcome in RETRAINING:
                return {"last_retraining_as_of": as_of}, ("decisions", "trainings")
            return {}, ("decisions",)
        case CandidateTrained():
            return {}, ("candidates",)
        case HealthReported():
            return {
                "health": json_text(event_data(entry.event)),
                "health_at": entry.recorded_at,
                "health_position": entry.position,
            }, ("cycles_ended", *_EARLY.get(entry.event.conclusion, ()))
        case CycleFailed():
            return {}, ("cycles_ended", "failed")
        case _:
            return {}, ()


def _change(connection: Connection, model: str, changed: dict[str, Any], *counted: str) -> None:
    if changed or counted:
        connection.execute(_counting(counted), {"of": model, **changed})


@cache
def _counting(counted: tuple[str, ...]) -> Update:
    """Set what is given for a model, and add one to these: it takes longer to make than to run."""
    statement = update(MODELS).where(MODELS.c.model == bindparam("of"))
    return statement.values({name: MODELS.c[name] + 1 for name in counted})


APPLY: Final = {
    ContractAdopted: _adopted,
    CandidatePromoted: _serves,
    ChampionRolledBack: _serves,
    CycleStarted: _cycle_started,
    Decided: _stepped,
    CandidateTrained: _stepped,
    ParityChecked: _stepped,
    CandidateEvaluated: _stepped,
    CandidateCompared: _stepped,
    PromotionSettled: _stepped,
    HealthReported: _stepped,
    CycleFailed: _stepped,
}
