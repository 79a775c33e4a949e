"""One plausible event of each kind, for tests that need a history rather than its figures."""

from __future__ import annotations

from domain.events.cycle_events import (
    AttemptStarted,
    CandidateCompared,
    CandidateEvaluated,
    CandidateTrained,
    CycleFailed,
    CycleHalted,
    CycleStarted,
    DataMerged,
    Decided,
    DriftMeasured,
    Force,
    HealthReported,
    NotDecided,
    Outcome,
    ParityChecked,
    PromotionSettled,
    TrainingFailed,
    WindowGuarded,
)
from domain.events.findings import Errors
from domain.events.verdicts import ClauseVerdict, PolicyVerdict, Verdict

AS_OF = "1977-01-01T00:00:00.000000Z"
FORCE = Force(actor="local:unauthenticated", reason="the tariff changed")

STARTED = CycleStarted(
    cycle="car-price-2",
    model="car-price",
    number=2,
    as_of=AS_OF,
    contract_digest="c" * 64,
    policy="strict-and",
    policy_digest="d" * 64,
    champion="car-price/1",
    force=None,
)
ATTEMPT = AttemptStarted(attempt=1)
GUARDED = WindowGuarded(
    window_start="1976-01-01T00:00:00.000000Z",
    window_end=AS_OF,
    reference_start="1971-07-01T00:00:00.000000Z",
    reference_end="1975-07-01T00:00:00.000001Z",
    rows=99,
    reference_rows=400,
    left_out={},
    refused_rows=0,
    checks=(),
)
HALTED = CycleHalted(
    window_start="1976-01-01T00:00:00.000000Z",
    window_end=AS_OF,
    rows=99,
    refused_rows=50,
    checks=(),
    reason="refused share 0.33 is above 0.05",
)
MEASURED = DriftMeasured(
    reference_sha256="e" * 64, report=None, champion_rmse=0.2, labelled_rows=99
)
EVALUATED = CandidateEvaluated(
    passed=True,
    rows=40,
    rows_min=20,
    candidate=Errors(rmse=0.2, rmse_native=2.0, mae_native=1.5),
    mean_baseline=Errors(rmse=0.5, rmse_native=5.0, mae_native=4.0),
    median_baseline=Errors(rmse=0.5, rmse_native=5.0, mae_native=4.0),
    reason="RMSE 0.2 beats mean and median",
)
COMPARED = CandidateCompared(
    passed=True,
    champion_version="car-price/1",
    rows=40,
    margin=0.0,
    candidate=Errors(rmse=0.2, rmse_native=2.0, mae_native=1.5),
    champion=Errors(rmse=0.3, rmse_native=3.0, mae_native=2.5),
    segments=(),
    bootstrap=None,
    reason="RMSE 0.2 is below 0.3",
)
PARITY = ParityChecked(
    passed=True,
    rows=40,
    largest_difference=0.0,
    allowed=0.0,
    pipeline_digest="f" * 64,
    plan_digest="f" * 64,
    reason="plan and pipeline agree to the bit",
)
MERGED = DataMerged(
    merged_rows=500,
    duplicates=0,
    training_rows=460,
    holdout_rows=40,
    holdout_groups=("AMGREM76",),
    new_samples=99,
    label_cutoff=1000,
    dataset_sha256="a" * 64,
    identities_sha256="b" * 64,
    dvc_pointer="car-price-2.csv.dvc",
)
TRAINED = CandidateTrained(
    candidate="car-price/2",
    plan_sha256="1" * 64,
    reference_sha256="2" * 64,
    dataset_sha256="a" * 64,
    identities_sha256="b" * 64,
    training_rows=460,
    trained_from="1971-07-01T00:00:00.000000Z",
    trained_until="1976-07-01T00:00:00.000001Z",
    label_cutoff=1000,
    estimator="ridge",
    parameters={"alpha": 1.0},
    seed=0,
    code_commit="unknown",
    lock_sha256="unknown",
    libraries={"numpy": "2"},
    registry_run=None,
    target_ks_p_value=0.4,
    looks_drifted=False,
)
FAILED_TRAINING = TrainingFailed(step="train", reason="only 3 rows. Wait for labels.")
SETTLED = PromotionSettled(promoted=True, model_version="car-price/2", reason="replaces")
REPORTED = HealthReported(
    conclusion="promoted",
    state="healthy",
    reasons=(),
    champion="car-price/2",
    cycles=2,
    decisions=2,
    trainings=2,
    promotions=2,
    success_rate=1.0,
    promotion_rate=1.0,
    mean_shift=None,
    spread_ratio=None,
    rmse_since_promotion=None,
    labelled_since_promotion=0,
    value=None,
)
GAVE_UP = CycleFailed(attempts=3, step="train", reason="exit code -9")


def clause(fact: str, verdict: Verdict) -> ClauseVerdict:
    """A clause about `fact` with this verdict."""
    return ClauseVerdict(
        clause=fact,
        fact=fact,
        label=fact,
        operator=">",
        threshold=0.2,
        unit="",
        observed=None if verdict == "unknown" else 0.5 if verdict == "met" else 0.1,
        verdict=verdict,
        margin=None,
        note="",
    )


def policy_verdict(**clauses: Verdict) -> PolicyVerdict:
    """What the policy said, from fact=verdict."""
    return PolicyVerdict(
        policy="strict-and",
        policy_version=1,
        policy_digest="d" * 64,
        facts={},
        never_retrained=False,
        clauses=tuple(clause(fact, verdict) for fact, verdict in clauses.items()),
        retrain=all(verdict == "met" for verdict in clauses.values()),
        trace=(),
    )


def decided(outcome: Outcome) -> Decided:
    """A decision with this outcome."""
    return Decided(
        outcome=outcome,
        verdict=policy_verdict(feature_drift_score="met"),
        sentence=outcome.upper(),
        force=FORCE if outcome == "override" else None,
    )


UNDECIDED = NotDecided(
    policy="strict-and",
    policy_digest="d" * 64,
    facts={},
    reason="the engine said keep, the plain evaluation said retrain",
    sentence="NOT DECIDED: the engine said keep, the plain evaluation said retrain",
)
