"""The one place where tests make events: each as it usually is, but for what a test says of it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from domain.canonical import digest, sha256_hex
from domain.decisions.rule_numbers import NEWEST
from domain.events import block_events, events
from domain.events import cycle_events as cycle
from domain.events.findings import DriftReport, Errors, WindowCheck
from domain.events.verdicts import ClauseVerdict, PolicyVerdict, strict_and

MODEL: Final = "cars"
TIME: Final = "1976-07-01T00:00:00.000000Z"
AS_OF: Final = "1977-01-01T00:00:00.000000Z"
SHA: Final = sha256_hex(b"")
FORCE: Final = cycle.Force(actor="local:unauthenticated", reason="the tariff changed")
CHECK: Final = WindowCheck(
    subject="hpwt", statistic="mean", observed=0.4, low=0.25, high=0.8, passed=True
)
REPORT: Final = DriftReport(
    features=(),
    predictions=(),
    feature_drift_score=0.25,
    psi_max=0.3,
    drifted_features=1,
    features_measured=6,
    low_power=False,
    test="chi-square",
    too_few="",
)
CLAUSE: Final = ClauseVerdict(
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
VERDICT: Final = PolicyVerdict(
    policy="strict-and",
    policy_version=1,
    policy_digest=SHA,
    facts={"new_samples": 60.0, "psi_max": None},
    never_retrained=False,
    clauses=(CLAUSE,),
    nodes=strict_and((CLAUSE,)),
    retrain=True,
    trace=(),
)


def errors(rmse: float = 0.1) -> Errors:
    """Errors with this RMSE on the scale that was trained on."""
    return Errors(rmse=rmse, rmse_native=rmse * 10, mae_native=rmse * 5)


_CONTRACT: Final = {
    "model": MODEL,
    "target": {"name": "price"},
    "policy": "strict-and",
    "margin": 0.0,
}
_POLICY: Final = {"id": "strict-and", "version": 1}
_WINDOW: Final = {
    "window_start": "1976-01-01T00:00:00.000000Z",
    "window_end": AS_OF,
    "rows": 99,
    "refused_rows": 1,
    "checks": (CHECK,),
    "labels": None,
}
_SERVES: Final = {
    "model": MODEL,
    "model_version": f"{MODEL}/2",
    "replaced": f"{MODEL}/1",
    "plan_sha256": SHA,
    "reference_sha256": SHA,
    "trained_until": TIME,
    "registry_run": None,
}
_ROW: Final = {"model": MODEL, "source": "/tests", "source_id": "car=1", "identity": "car=1"}
_ROWS: Final = {
    "model": MODEL,
    "row_schema": 1,
    "rows": 2,
    "rows_root": SHA,
    "occurred_from": TIME,
    "occurred_until": TIME,
}
_LAID_OUT: Final = {
    "columns": ("car", "hpwt", "year"),
    "identity": ("car",),
    "event_time": block_events.TimeColumn(column="year", read_as="mid-year"),
}
_USUAL: Final[dict[type[Any], dict[str, Any]]] = {
    events.LedgerCreated: {"ledger_id": "01a20867-eb4c-7fec-a896-66c1c2ec481c", "format": 1},
    events.DamageFound: {"position": 7, "said": "other bytes"},
    events.DamageSettled: {"found": (8,), "how": "verified", "reason": "restored"},
    events.PayloadErased: {
        "model": MODEL,
        "entries": (1,),
        "rows": (),
        "artefacts": (),
        "cycles": (),
        "model_versions": (),
        "reason": "the owner asked",
        "legal_basis": "GDPR Art. 17",
    },
    events.ContractAdopted: {
        "model": MODEL,
        "contract": _CONTRACT,
        "contract_digest": digest(_CONTRACT),
    },
    events.PolicyAdopted: {
        "policy": "strict-and",
        "policy_version": 1,
        "document": _POLICY,
        "policy_digest": digest(_POLICY),
    },
    events.CandidatePromoted: _SERVES | {"cycle": f"{MODEL}-2", "as_of": TIME},
    events.ChampionRolledBack: _SERVES | {"reason": "customers complained"},
    events.ValueMeasured: {
        "model": MODEL,
        "model_version": f"{MODEL}/1",
        "since": 12,
        "previous": None,
        "occasion": "cycle",
        "as_of": AS_OF,
        "served_rows": 40,
        "labelled_rows": 30,
        "value": None,
        "interval": None,
        "unit": None,
        "retraining_cost": None,
        "note": "nobody served before it",
    },
    events.PredictionMade: {
        "model": MODEL,
        "model_version": f"{MODEL}/1",
        "plan_sha256": SHA,
        "identity": "car=1",
        "row": {"car": "car=1", "hpwt": 0.5, "air": 1, "note": None},
        "prediction": 7.5,
        "unknown_categories": (),
        "request_id": None,
    },
    events.ObservationRecorded: _ROW
    | {"row": {"car": "car=1", "hpwt": 0.5, "price": 8.25}, "extensions": {"trace": "a"}},
    events.OutcomeRecorded: _ROW | {"label": 9.0, "extensions": {}},
    block_events.PredictionsMade: _ROWS
    | _LAID_OUT
    | {"model_version": f"{MODEL}/1", "plan_sha256": SHA, "request_id": None},
    block_events.ObservationsRecorded: _ROWS
    | _LAID_OUT
    | {"source": "/tests", "columns": ("car", "hpwt", "price", "year"), "row_schema": 2},
    block_events.OutcomesRecorded: _ROWS | {"source": "/tests", "row_schema": 2},
    events.RowsRefused: {
        "model": MODEL,
        "door": "events",
        "rows": 2,
        "reasons": {"hpwt: out of range": 2, "é: missing": 1},
    },
    events.DatasetReceived: {
        "model": MODEL,
        "dataset_sha256": SHA,
        "accepted": 1,
        "already_known": 0,
        "quarantined": 0,
        "quarantine_file": None,
        "also": {"corrections": 0, "repeated_keys": 0, "labelled_predictions": 1},
    },
    cycle.CycleStarted: {
        "cycle": f"{MODEL}-2",
        "model": MODEL,
        "number": 2,
        "as_of": AS_OF,
        "contract_digest": SHA,
        "policy": "strict-and",
        "policy_digest": SHA,
        "champion": f"{MODEL}/1",
        "force": None,
        "rules": dict(NEWEST),
        "serves": f"{MODEL}/1",
        "sets_aside": (),
        "reason": None,
    },
    cycle.AttemptStarted: {"attempt": 1},
    cycle.WindowGuarded: _WINDOW
    | {
        "reference_start": "1971-07-01T00:00:00.000000Z",
        "reference_end": TIME,
        "reference_rows": 400,
        "left_out": {"made by another version": 2},
    },
    cycle.CycleHalted: _WINDOW | {"refused_rows": 50, "reason": "refused share 0.33 is above 0.05"},
    cycle.DriftMeasured: {
        "reference_sha256": SHA,
        "report": REPORT,
        "champion_rmse": 0.125,
        "labelled_rows": 40,
        "error_increase": None,
        "residual_evidence": None,
        "residuals_sha256": None,
        "clean_rate": 0.27,
        "refit_comparison": None,
    },
    cycle.Decided: {"verdict": VERDICT, "force": None},
    cycle.NotDecided: {
        "policy": "strict-and",
        "policy_digest": SHA,
        "facts": {"new_samples": 60.0},
        "reason": "the engine was silent",
        "sentence": "NOT DECIDED: the engine was silent",
    },
    cycle.DataMerged: {
        "merged_rows": 100,
        "left_out": {},
        "duplicates": 1,
        "training_rows": 80,
        "holdout_rows": 20,
        "holdout_groups": ("a", "b"),
        "holdout_share": 0.4,
        "window_attempt": 1,
        "new_samples": 60,
        "label_cutoff": 40,
        "dataset_sha256": SHA,
        "identities_sha256": SHA,
        "dvc_pointer": "dataset.csv.dvc",
    },
    cycle.CandidateTrained: {
        "candidate": f"{MODEL}/2",
        "plan_sha256": SHA,
        "reference_sha256": SHA,
        "dataset_sha256": SHA,
        "identities_sha256": SHA,
        "training_rows": 80,
        "trained_from": "1971-07-01T00:00:00.000000Z",
        "trained_until": TIME,
        "label_cutoff": 40,
        "estimator": "ridge",
        "parameters": {"alpha": 1.0},
        "seed": 0,
        "code_commit": "unknown",
        "lock_sha256": "unknown",
        "libraries": {"numpy": "2"},
        "registry_run": None,
        "target_ks_p_value": 0.4,
        "looks_drifted": False,
        "residuals_sha256": None,
    },
    cycle.TrainingFailed: {"step": "train", "reason": "only 3 rows. Wait for labels."},
    cycle.ParityChecked: {
        "passed": True,
        "rows": 20,
        "largest_difference": 0.0,
        "allowed": 1e-12,
        "feature": None,
        "pipeline_digest": SHA,
        "plan_digest": SHA,
        "reason": "plan and pipeline agree to the bit",
    },
    cycle.CandidateEvaluated: {
        "passed": True,
        "rows": 20,
        "rows_min": 20,
        "candidate": errors(),
        "mean_baseline": errors(0.5),
        "median_baseline": errors(0.6),
        "reason": "better than both baselines",
    },
    cycle.CandidateCompared: {
        "passed": True,
        "champion_version": None,
        "rows": 20,
        "margin": 0.0,
        "candidate": errors(),
        "champion": None,
        "segments": (),
        "bootstrap": None,
        "interval": None,
        "confidence_min": None,
        "refit": False,
        "reason": "no champion yet",
    },
    cycle.CandidateRefitted: {
        "candidate": f"{MODEL}/2",
        "passed": True,
        "gated_plan_sha256": SHA,
        "plan_sha256": SHA,
        "identities_sha256": SHA,
        "rows": 100,
        "holdout_rows": 20,
        "trained_until": TIME,
        "registry_run": None,
        "parity": None,
        "reason": "refitted on 100 rows; this plan was not gated",
    },
    cycle.PromotionSettled: {
        "promoted": True,
        "model_version": f"{MODEL}/2",
        "reason": "it is better",
    },
    cycle.HealthReported: {
        "conclusion": "promoted",
        "state": "healthy",
        "reasons": (),
        "champion": f"{MODEL}/2",
        "cycles": 1,
        "decisions": 1,
        "halted": 0,
        "failed": 0,
        "undecided": 0,
        "trainings": 0,
        "promotions": 0,
        "success_rate": None,
        "promotion_rate": 0.0,
        "mean_shift": None,
        "spread_ratio": None,
        "rmse_since_promotion": None,
        "labelled_since_promotion": 0,
        "window_error": None,
        "window_interval": None,
        "window_labelled": 0,
        "value": None,
        "value_interval": None,
    },
    cycle.CycleFailed: {"attempts": 3, "step": "train", "reason": "exit code -9"},
}

Kind = TypeVar("Kind", bound=events.Event)


def an(kind: type[Kind], **said: Any) -> Kind:
    """An event of this kind with what is said of it; all else is as usual."""
    return kind(**(_USUAL[kind] | said))


def decided(outcome: cycle.Outcome = "retrain", **said: Any) -> cycle.Decided:
    """A decision with this outcome, forced when it is an override."""
    force = FORCE if outcome == "override" else None
    return an(cycle.Decided, outcome=outcome, sentence=outcome.upper(), force=force, **said)
