"""Events to fill a ledger with, each with what tests say of it, and what appends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend
from domain.canonical import digest, sha256_hex
from domain.events import cycle_events as cycle
from domain.events.envelope import Recorded
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    ContractAdopted,
    DatasetReceived,
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PolicyAdopted,
    PredictionMade,
    Row,
    RowsRefused,
)
from tests.plausible import TIME, an, decided

__all__ = ["TIME", "decided"]


def new(event: Event, **how: Any) -> NewEvent:
    """The event, ready to append, with an id and a time of its own unless told otherwise."""
    return NewEvent(event=event, **{"id": new_id(), "occurred_at": TIME} | how)


def put(
    ledger: Ledger,
    stream: str,
    *events: Event,
    expected: int | None = None,
    artefacts: Sequence[Artefact] = (),
    **how: Any,
) -> tuple[Recorded, ...]:
    """Append `events` to one stream."""
    append = StreamAppend(stream, tuple(new(event, **how) for event in events), expected)
    return ledger.append([append], Cause.unauthenticated(new_id()), artefacts=artefacts)


def artefact(content: bytes, kind: str = "plan") -> Artefact:
    return Artefact(sha256_hex(content), kind, content)


def contract_adopted(model: str = "cars", policy: str = "strict-and") -> ContractAdopted:
    document = {"model": model, "target": {"name": "price"}, "policy": policy, "margin": 0.0}
    return ContractAdopted(model=model, contract=document, contract_digest=digest(document))


def policy_adopted(policy: str = "strict-and", version: int = 1) -> PolicyAdopted:
    document = {"id": policy, "version": version}
    return PolicyAdopted(
        policy=policy, policy_version=version, document=document, policy_digest=digest(document)
    )


def prediction(
    identity: str = "car=1", model: str = "cars", version: str = "cars/1", value: float = 7.5
) -> PredictionMade:
    row = {"car": identity, "hpwt": 0.5, "air": 1, "note": None}
    said = {"identity": identity, "model_version": version, "row": row, "prediction": value}
    return an(PredictionMade, model=model, **said)


def observation(
    identity: str = "car=1", model: str = "cars", price: float | None = 8.25
) -> ObservationRecorded:
    row: Row = {"car": identity, "hpwt": 0.5}
    if price is not None:
        row["price"] = price
    return an(ObservationRecorded, model=model, source_id=identity, identity=identity, row=row)


def outcome(
    prediction_id: str, identity: str = "car=1", model: str = "cars", label: float = 9.0
) -> OutcomeRecorded:
    said = {"source_id": identity, "identity": identity, "prediction_id": prediction_id}
    return an(OutcomeRecorded, model=model, label=label, **said)


def refused(rows: int = 2, model: str = "cars") -> RowsRefused:
    reasons = {"hpwt: out of range": rows, "é: missing": 1}
    return an(RowsRefused, model=model, rows=rows, reasons=reasons)


def received(model: str = "cars") -> DatasetReceived:
    return an(DatasetReceived, model=model)


def started(
    number: int, model: str = "cars", champion: str | None = None, as_of: str = TIME
) -> cycle.CycleStarted:
    said = {"cycle": f"{model}-{number}", "number": number, "as_of": as_of}
    return an(cycle.CycleStarted, model=model, champion=champion, **{"serves": champion} | said)


def attempted(attempt: int = 1) -> cycle.AttemptStarted:
    return an(cycle.AttemptStarted, attempt=attempt)


def guarded() -> cycle.WindowGuarded:
    return an(cycle.WindowGuarded)


def halted() -> cycle.CycleHalted:
    return an(cycle.CycleHalted)


def measured() -> cycle.DriftMeasured:
    return an(cycle.DriftMeasured)


def not_decided() -> cycle.NotDecided:
    return an(cycle.NotDecided)


def merged(label_cutoff: int) -> cycle.DataMerged:
    return an(cycle.DataMerged, label_cutoff=label_cutoff)


def trained(candidate: str, label_cutoff: int) -> cycle.CandidateTrained:
    return an(cycle.CandidateTrained, candidate=candidate, label_cutoff=label_cutoff)


def training_failed() -> cycle.TrainingFailed:
    return an(cycle.TrainingFailed)


def parity(passed: bool = True) -> cycle.ParityChecked:
    return an(cycle.ParityChecked, passed=passed)


def evaluated(passed: bool = True) -> cycle.CandidateEvaluated:
    return an(cycle.CandidateEvaluated, passed=passed)


def compared(passed: bool = True) -> cycle.CandidateCompared:
    return an(cycle.CandidateCompared, passed=passed)


def settled(model_version: str, promoted: bool = True) -> cycle.PromotionSettled:
    return an(cycle.PromotionSettled, promoted=promoted, model_version=model_version)


def promoted(
    model_version: str, cycle: str, model: str = "cars", replaced: str | None = None
) -> CandidatePromoted:
    said = {"model_version": model_version, "replaced": replaced, "cycle": cycle}
    plan = sha256_hex(model_version.encode())
    return an(CandidatePromoted, model=model, plan_sha256=plan, **said)


def rolled_back(model_version: str, replaced: str, model: str = "cars") -> ChampionRolledBack:
    said = {"model_version": model_version, "replaced": replaced}
    plan = sha256_hex(model_version.encode())
    return an(ChampionRolledBack, model=model, plan_sha256=plan, **said)


def reported(
    conclusion: cycle.Conclusion = "kept", champion: str | None = None
) -> cycle.HealthReported:
    state = "no champion" if champion is None else "healthy"
    return an(cycle.HealthReported, conclusion=conclusion, state=state, champion=champion)


def gave_up() -> cycle.CycleFailed:
    return an(cycle.CycleFailed)
