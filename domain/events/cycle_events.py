"""The events of one retraining cycle, in the order of its steps, refusals included.

guard -> drift -> decide -> merge -> train -> parity -> evaluate -> compare -> refit -> promote ->
health; a refit only where the contract asks for it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Struct

from domain.events.findings import DriftReport, GroupInterval, LabelShift, WindowCheck
from domain.events.gate_events import (
    CandidateCompared,
    CandidateEvaluated,
    CandidateRefitted,
    ParityChecked,
    PromotionSettled,
)
from domain.events.residual_findings import ErrorIncrease, RefitComparison, ResidualEvidence
from domain.events.verdicts import PolicyVerdict
from domain.units import noted

__all__ = [
    "CYCLE_EVENTS",
    "AttemptStarted",
    "CandidateCompared",
    "CandidateEvaluated",
    "CandidateRefitted",
    "CandidateTrained",
    "Conclusion",
    "CycleEvent",
    "CycleFailed",
    "CycleHalted",
    "CycleStarted",
    "DataMerged",
    "Decided",
    "DriftMeasured",
    "Force",
    "HealthReported",
    "NotDecided",
    "Outcome",
    "ParityChecked",
    "PromotionSettled",
    "TrainingFailed",
    "WindowGuarded",
]

Outcome = Literal[
    "retrain",
    "keep: no drift",
    "keep: below the bounds",
    "keep: nothing to judge",
    "keep: rules not met",
    "bootstrap",
    "override",
]
Conclusion = Literal["kept", "promoted", "rejected", "halted", "not decided", "failed"]


class Force(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Somebody asked to retrain whatever the policy says."""

    actor: Annotated[str, noted("actor", "who forced it")]
    reason: Annotated[str, noted("words", "why")]


class CycleStarted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A cycle exists. It may know what stands before it, and look at what is before as_of."""

    type: ClassVar[str] = "cycle.started"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    cycle: Annotated[str, noted("id", "'car-price-12'")]
    model: Annotated[str, noted("name", "the model")]
    number: Annotated[int, noted("number", "1 for the model's first cycle")]
    as_of: Annotated[str, noted("time", "data with event time before it is looked at")]
    contract_digest: Annotated[str, noted("sha256 hex", "the contract it works under")]
    policy: Annotated[str, noted("id", "the policy it is judged by")]
    policy_digest: Annotated[str, noted("sha256 hex", "that policy's document")]
    champion: Annotated[
        str | None, noted("name/number", "who is judged; null where no cycle that counts made one")
    ]
    force: Force | None
    rules: Annotated[
        dict[str, int], noted("numbers", "rule -> the form it follows; one not named: its first")
    ]
    serves: Annotated[
        str | None, noted("name/number", "who answers; champion, or trained by a cycle set aside")
    ]
    sets_aside: Annotated[
        tuple[str, ...], noted("ids", "cycles later than as_of that count no more for the model")
    ]
    reason: Annotated[
        str | None, noted("words", "why they are set aside, or how as_of was chosen; or null")
    ]


class AttemptStarted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A worker took up the cycle. After three attempts without an end the cycle has failed."""

    type: ClassVar[str] = "cycle.attempt-started"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    attempt: Annotated[int, noted("number", "1, 2 or 3")]


class WindowGuarded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The window lies within its plausible bounds (or is empty), so it may be judged."""

    type: ClassVar[str] = "cycle.window-guarded"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    window_start: Annotated[str, noted("time", "inclusive")]
    window_end: Annotated[str, noted("time", "exclusive")]
    reference_start: Annotated[str | None, noted("time", "inclusive; null without a champion")]
    reference_end: Annotated[str | None, noted("time", "exclusive; null without a champion")]
    rows: Annotated[int, noted("rows", "in the window")]
    reference_rows: Annotated[int, noted("rows", "the champion's training rows")]
    left_out: Annotated[
        dict[str, int], noted("rows", "predictions not in the window: reason -> count")
    ]
    refused_rows: Annotated[int, noted("rows", "refused since the model's last cycle started")]
    checks: tuple[WindowCheck, ...]
    labels: LabelShift | None


class CycleHalted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Window or training pool are outside their bounds. Nothing is judged: never 'no drift'."""

    type: ClassVar[str] = "cycle.halted"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    window_start: Annotated[str, noted("time", "inclusive")]
    window_end: Annotated[str, noted("time", "exclusive")]
    rows: Annotated[int, noted("rows", "in the window")]
    refused_rows: Annotated[int, noted("rows", "refused since the model's last cycle started")]
    checks: tuple[WindowCheck, ...]
    labels: LabelShift | None
    reason: Annotated[str, noted("words", "which bounds were broken, by what value")]


class DriftMeasured(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The window was compared with the champion's frozen reference. Null: nothing to compare."""

    type: ClassVar[str] = "cycle.drift-measured"
    schema: ClassVar[int] = 3
    stream: ClassVar[str] = "cycle-<model>-<number>"

    reference_sha256: Annotated[str | None, noted("sha256 hex", "the frozen reference")]
    report: DriftReport | None
    champion_rmse: Annotated[
        float | None, noted("transformed target", "the champion on the window's labelled rows")
    ]
    labelled_rows: Annotated[int, noted("rows", "window rows with a label")]
    error_increase: ErrorIncrease | None
    residual_evidence: ResidualEvidence | None
    residuals_sha256: Annotated[
        str | None,
        noted("sha256 hex", "the rows that entered the evidence now, an artefact; null: none"),
    ]
    clean_rate: Annotated[
        float | None,
        noted("share 0..1", "of such windows without drift whose prediction drift p is below 0.05"),
    ]
    refit_comparison: RefitComparison | None


class Decided(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What was decided and why. The event's id is the decision id."""

    type: ClassVar[str] = "cycle.decided"
    schema: ClassVar[int] = 3
    stream: ClassVar[str] = "cycle-<model>-<number>"

    outcome: Annotated[Outcome, noted("name", "what happens next")]
    verdict: PolicyVerdict
    sentence: Annotated[str, noted("words", "the verdict sentence")]
    force: Force | None


class NotDecided(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The two evaluations of the policy did not agree, so nothing is retrained."""

    type: ClassVar[str] = "cycle.not-decided"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    policy: Annotated[str, noted("id", "the policy")]
    policy_digest: Annotated[str, noted("sha256 hex", "of the adopted document")]
    facts: Annotated[dict[str, float | None], noted("facts", "all that were offered")]
    reason: Annotated[str, noted("words", "how the evaluations differed")]
    sentence: Annotated[str, noted("words", "the verdict sentence")]


class DataMerged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The labelled rows were merged, de-duplicated, split and written down."""

    type: ClassVar[str] = "cycle.data-merged"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    merged_rows: Annotated[int, noted("rows", "distinct labelled rows before as_of, less left_out")]
    left_out: Annotated[
        dict[str, int], noted("rows", "that break the contract in force: reason -> count")
    ]
    duplicates: Annotated[int, noted("rows", "earlier labels that a later one replaced")]
    training_rows: Annotated[int, noted("rows", "merged rows less the holdout")]
    holdout_rows: Annotated[int, noted("rows", "held out of both sides' training")]
    holdout_groups: Annotated[tuple[str, ...], noted("groups", "drawn whole, by hash")]
    holdout_share: Annotated[
        float | None, noted("share 0..1", "held out of the eligible rows; null: none, or unknown")
    ]
    window_attempt: Annotated[
        int | None, noted("number", "trainings on windows that end on this day; null: not counted")
    ]
    new_samples: Annotated[
        int, noted("rows", "that the last completed training could not have had")
    ]
    label_cutoff: Annotated[int, noted("position", "labels up to and with it were read")]
    dataset_sha256: Annotated[str, noted("sha256 hex", "of the merged CSV's bytes")]
    identities_sha256: Annotated[
        str, noted("sha256 hex", "the training rows' identities, an artefact")
    ]
    dvc_pointer: Annotated[str, noted("file name", "beside the CSV, in the state directory")]


class CandidateTrained(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A candidate exists and may be judged; it serves nobody yet."""

    type: ClassVar[str] = "cycle.candidate-trained"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    candidate: Annotated[str, noted("name/number", "'car-price/7'")]
    plan_sha256: Annotated[str, noted("sha256 hex", "the serving plan, an artefact")]
    reference_sha256: Annotated[str, noted("sha256 hex", "the frozen drift reference, an artefact")]
    dataset_sha256: Annotated[str, noted("sha256 hex", "of the merged CSV's bytes")]
    identities_sha256: Annotated[
        str, noted("sha256 hex", "the training rows' identities, an artefact")
    ]
    training_rows: Annotated[int, noted("rows", "rows it was fitted on")]
    trained_from: Annotated[str, noted("time", "first event time among them, inclusive")]
    trained_until: Annotated[str, noted("time", "end of their event time, exclusive")]
    label_cutoff: Annotated[int, noted("position", "labels up to and with it were read")]
    estimator: Annotated[str, noted("name", "the kind of estimator")]
    parameters: Annotated[dict[str, float | int | str], noted("parameters", "of the estimator")]
    seed: Annotated[int, noted("seed", "the only source of randomness in training")]
    code_commit: Annotated[str, noted("git commit", "of the code; 'unknown' outside a checkout")]
    lock_sha256: Annotated[str, noted("sha256 hex", "of the lock file; 'unknown' without one")]
    libraries: Annotated[dict[str, str], noted("versions", "of the libraries that fitted it")]
    registry_run: Annotated[str | None, noted("id", "the MLflow run")]
    target_ks_p_value: Annotated[
        float, noted("probability", "training target against out-of-fold predictions")
    ]
    looks_drifted: Annotated[
        bool, noted("flag", "that p < 0.05: it would look drifted on its own training data")
    ]
    residuals_sha256: Annotated[
        str | None,
        noted("sha256 hex", "its residuals on its holdout, an artefact; null without a holdout"),
    ]


class TrainingFailed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """No candidate came of it. Consumes no samples; production stays."""

    type: ClassVar[str] = "cycle.training-failed"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    step: Annotated[Literal["merge", "train"], noted("name", "where it failed")]
    reason: Annotated[str, noted("words", "the clear error, with its remedy")]


class HealthReported(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The last step of every cycle: how the model stands now."""

    type: ClassVar[str] = "cycle.health-reported"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    conclusion: Annotated[Conclusion, noted("name", "how the cycle ended")]
    state: Annotated[
        Literal["healthy", "degraded", "stale", "no champion"], noted("name", "of the model")
    ]
    reasons: Annotated[tuple[str, ...], noted("words", "why it is not healthy; empty when it is")]
    champion: Annotated[str | None, noted("name/number", "who serves now")]
    cycles: Annotated[
        int, noted("cycles", "of this model that ended, set aside ones and this one too")
    ]
    decisions: Annotated[int, noted("decisions", "of its cycles that count, this one included")]
    halted: Annotated[int | None, noted("cycles", "that count and halted, this one included")]
    failed: Annotated[int | None, noted("cycles", "that count and failed, this one included")]
    undecided: Annotated[int | None, noted("cycles", "that count, undecided, this one included")]
    trainings: Annotated[int, noted("trainings", "started by those, failed ones included")]
    promotions: Annotated[int, noted("promotions", "by those; rollbacks do not count")]
    success_rate: Annotated[float | None, noted("share 0..1", "promotions / trainings started")]
    promotion_rate: Annotated[float | None, noted("share 0..1", "promotions / decisions")]
    mean_shift: Annotated[float | None, noted("reference sd", "predictions against the target")]
    spread_ratio: Annotated[float | None, noted("ratio", "predictions against the target")]
    rmse_since_promotion: Annotated[
        float | None, noted("transformed target", "the champion on rows labelled since; or null")
    ]
    labelled_since_promotion: Annotated[int, noted("rows", "the rows behind it")]
    window_error: Annotated[
        float | None, noted("transformed target", "RMSE on the latest window's; null below 30 rows")
    ]
    window_interval: GroupInterval | None
    window_labelled: Annotated[int, noted("rows", "labelled rows in the latest window")]
    value: Annotated[float | None, noted("contract's value unit", "null: not yet measured")]
    value_interval: GroupInterval | None


class CycleFailed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Three attempts ended without an end. Production stays; the reason is recorded."""

    type: ClassVar[str] = "cycle.failed"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    attempts: Annotated[int, noted("attempts", "that were made")]
    step: Annotated[str, noted("name", "the step that never left an event")]
    reason: Annotated[str, noted("words", "what is known, and the remedy")]


CycleEvent = (
    CycleStarted
    | AttemptStarted
    | WindowGuarded
    | CycleHalted
    | DriftMeasured
    | Decided
    | NotDecided
    | DataMerged
    | CandidateTrained
    | TrainingFailed
    | ParityChecked
    | CandidateEvaluated
    | CandidateCompared
    | CandidateRefitted
    | PromotionSettled
    | HealthReported
    | CycleFailed
)

CYCLE_EVENTS: Final[tuple[type[CycleEvent], ...]] = (
    CycleStarted,
    AttemptStarted,
    WindowGuarded,
    CycleHalted,
    DriftMeasured,
    Decided,
    NotDecided,
    DataMerged,
    CandidateTrained,
    TrainingFailed,
    ParityChecked,
    CandidateEvaluated,
    CandidateCompared,
    CandidateRefitted,
    PromotionSettled,
    HealthReported,
    CycleFailed,
)
