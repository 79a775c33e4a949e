"""Events to fill a ledger with: small, and shaped like the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend
from domain.canonical import digest, sha256_hex
from domain.events.cycle_events import (
    AttemptStarted,
    CandidateCompared,
    CandidateEvaluated,
    CandidateTrained,
    Conclusion,
    CycleFailed,
    CycleHalted,
    CycleStarted,
    DataMerged,
    Decided,
    DriftMeasured,
    HealthReported,
    NotDecided,
    Outcome,
    ParityChecked,
    PromotionSettled,
    TrainingFailed,
    WindowGuarded,
)
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
from domain.events.findings import DriftReport, Errors, WindowCheck
from domain.events.verdicts import ClauseVerdict, PolicyVerdict

TIME = "1976-07-01T00:00:00.000000Z"
SHA = sha256_hex(b"")


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
    return PredictionMade(
        model=model,
        model_version=version,
        plan_sha256=SHA,
        identity=identity,
        row={"car": identity, "hpwt": 0.5, "air": 1, "note": None},
        prediction=value,
        unknown_categories=(),
        request_id=None,
    )


def observation(
    identity: str = "car=1", model: str = "cars", price: float | None = 8.25
) -> ObservationRecorded:
    row: Row = {"car": identity, "hpwt": 0.5}
    if price is not None:
        row["price"] = price
    return ObservationRecorded(
        model=model, source="/tests", source_id=identity, identity=identity, row=row
    )


def outcome(
    prediction_id: str, identity: str = "car=1", model: str = "cars", label: float = 9.0
) -> OutcomeRecorded:
    return OutcomeRecorded(
        model=model,
        source="/tests",
        source_id=identity,
        prediction_id=prediction_id,
        identity=identity,
        label=label,
    )


def refused(rows: int = 2, model: str = "cars") -> RowsRefused:
    return RowsRefused(
        model=model, door="events", rows=rows, reasons={"hpwt: out of range": rows, "é: missing": 1}
    )


def received(model: str = "cars") -> DatasetReceived:
    return DatasetReceived(
        model=model,
        dataset_sha256=SHA,
        accepted=1,
        already_known=0,
        quarantined=0,
        quarantine_file=None,
    )


def started(
    number: int, model: str = "cars", champion: str | None = None, as_of: str = TIME
) -> CycleStarted:
    return CycleStarted(
        cycle=f"{model}-{number}",
        model=model,
        number=number,
        as_of=as_of,
        contract_digest=SHA,
        policy="strict-and",
        policy_digest=SHA,
        champion=champion,
        force=None,
    )


def attempted(attempt: int = 1) -> AttemptStarted:
    return AttemptStarted(attempt=attempt)


def checks() -> tuple[WindowCheck, ...]:
    return (
        WindowCheck(
            subject="hpwt", statistic="mean", observed=0.4, low=0.25, high=0.8, passed=True
        ),
    )


def guarded() -> WindowGuarded:
    return WindowGuarded(
        window_start=TIME,
        window_end=TIME,
        reference_start=None,
        reference_end=None,
        rows=3,
        reference_rows=0,
        left_out={"made by another version": 2},
        refused_rows=1,
        checks=checks(),
    )


def halted() -> CycleHalted:
    return CycleHalted(
        window_start=TIME,
        window_end=TIME,
        rows=3,
        refused_rows=9,
        checks=checks(),
        reason="refused share 0.75 is above 0.2",
    )


def measured() -> DriftMeasured:
    report = DriftReport(
        features=(),
        predictions=(),
        feature_drift_score=0.25,
        psi_max=0.3,
        drifted_features=1,
        features_measured=6,
        low_power=False,
    )
    return DriftMeasured(reference_sha256=SHA, report=report, champion_rmse=0.125, labelled_rows=40)


def decided(outcome: Outcome = "retrain") -> Decided:
    clause = ClauseVerdict(
        clause="enough_labels",
        fact="new_samples",
        label="labels",
        operator=">=",
        threshold=50.0,
        unit="rows",
        observed=60.0,
        verdict="met",
        margin=10.0,
        note="",
    )
    verdict = PolicyVerdict(
        policy="strict-and",
        policy_version=1,
        policy_digest=SHA,
        facts={"new_samples": 60.0, "psi_max": None},
        never_retrained=False,
        clauses=(clause,),
        retrain=outcome == "retrain",
        trace=(),
    )
    return Decided(outcome=outcome, verdict=verdict, sentence=outcome.upper(), force=None)


def not_decided() -> NotDecided:
    return NotDecided(
        policy="strict-and",
        policy_digest=SHA,
        facts={"new_samples": 60.0},
        reason="the engine was silent",
        sentence="NOT DECIDED: the engine was silent",
    )


def merged(label_cutoff: int) -> DataMerged:
    return DataMerged(
        merged_rows=100,
        duplicates=1,
        training_rows=80,
        holdout_rows=20,
        holdout_groups=("a", "b"),
        new_samples=60,
        label_cutoff=label_cutoff,
        dataset_sha256=SHA,
        identities_sha256=SHA,
        dvc_pointer="cars.csv.dvc",
    )


def trained(candidate: str, label_cutoff: int) -> CandidateTrained:
    return CandidateTrained(
        candidate=candidate,
        plan_sha256=SHA,
        reference_sha256=SHA,
        dataset_sha256=SHA,
        identities_sha256=SHA,
        training_rows=80,
        trained_from="1971-07-01T00:00:00.000000Z",
        trained_until=TIME,
        label_cutoff=label_cutoff,
        estimator="ridge",
        parameters={"alpha": 1.0, "depth": 3, "solver": "svd"},
        seed=0,
        code_commit="unknown",
        lock_sha256="unknown",
        libraries={"numpy": "2"},
        registry_run=None,
        target_ks_p_value=0.4,
        looks_drifted=False,
    )


def training_failed() -> TrainingFailed:
    return TrainingFailed(step="train", reason="no rows")


def parity(passed: bool = True) -> ParityChecked:
    return ParityChecked(
        passed=passed,
        rows=20,
        largest_difference=0.0,
        allowed=1e-12,
        pipeline_digest=SHA,
        plan_digest=SHA,
        reason="equal",
    )


def errors(rmse: float = 0.1) -> Errors:
    return Errors(rmse=rmse, rmse_native=1.0, mae_native=0.5)


def evaluated(passed: bool = True) -> CandidateEvaluated:
    return CandidateEvaluated(
        passed=passed,
        rows=20,
        rows_min=20,
        candidate=errors(),
        mean_baseline=errors(0.5),
        median_baseline=errors(0.6),
        reason="better than both",
    )


def compared(passed: bool = True) -> CandidateCompared:
    return CandidateCompared(
        passed=passed,
        champion_version=None,
        rows=20,
        margin=0.0,
        candidate=errors(),
        champion=None,
        segments=(),
        bootstrap=None,
        reason="no champion yet",
    )


def settled(model_version: str, promoted: bool = True) -> PromotionSettled:
    return PromotionSettled(promoted=promoted, model_version=model_version, reason="it is better")


def promoted(
    model_version: str, cycle: str, model: str = "cars", replaced: str | None = None
) -> CandidatePromoted:
    return CandidatePromoted(
        model=model,
        model_version=model_version,
        replaced=replaced,
        plan_sha256=sha256_hex(model_version.encode()),
        reference_sha256=SHA,
        cycle=cycle,
        as_of=TIME,
        trained_until=TIME,
        registry_run=None,
    )


def rolled_back(model_version: str, replaced: str, model: str = "cars") -> ChampionRolledBack:
    return ChampionRolledBack(
        model=model,
        model_version=model_version,
        replaced=replaced,
        plan_sha256=sha256_hex(model_version.encode()),
        reference_sha256=SHA,
        trained_until=TIME,
        registry_run=None,
        reason="customers complained",
    )


def reported(conclusion: Conclusion = "kept", champion: str | None = None) -> HealthReported:
    return HealthReported(
        conclusion=conclusion,
        state="no champion" if champion is None else "healthy",
        reasons=(),
        champion=champion,
        cycles=1,
        decisions=1,
        trainings=0,
        promotions=0,
        success_rate=None,
        promotion_rate=0.0,
        mean_shift=None,
        spread_ratio=None,
        rmse_since_promotion=None,
        labelled_since_promotion=0,
        value=None,
    )


def gave_up() -> CycleFailed:
    return CycleFailed(attempts=3, step="train", reason="cut off three times")
