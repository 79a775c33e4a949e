"""What the gates of one retraining cycle leave, and the promotion they allow."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Struct

from domain.events.findings import Bootstrap, Errors, GroupInterval, SegmentErrors
from domain.units import noted


class ParityChecked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The parity gate: does the serving plan equal the pipeline on the holdout?"""

    type: ClassVar[str] = "cycle.parity-checked"
    schema: ClassVar[int] = 2
    stream: ClassVar[str] = "cycle-<model>-<number>"

    passed: Annotated[bool, noted("flag", "the largest difference is allowed")]
    rows: Annotated[int, noted("rows", "the holdout, or training without one; of a refit both")]
    largest_difference: Annotated[
        float, noted("ratio", "largest |plan - pipeline| / max(1, sum |terms|); form 1: |pipeline|")
    ]
    allowed: Annotated[float, noted("ratio", "0 for trees, 1e-12 for linear models")]
    feature: Annotated[
        str | None, noted("name", "whose term is largest where they differ most; null: passed")
    ]
    pipeline_digest: Annotated[str, noted("sha256 hex", "of the pipeline's predictions")]
    plan_digest: Annotated[str, noted("sha256 hex", "of the plan's predictions")]
    reason: Annotated[str, noted("words", "what the gate says")]


class CandidateEvaluated(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The evaluation gate: does the candidate beat mean and median on rows it has not seen?"""

    type: ClassVar[str] = "cycle.candidate-evaluated"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    passed: Annotated[bool, noted("flag", "strictly better than both baselines")]
    rows: Annotated[int, noted("rows", "of the holdout")]
    rows_min: Annotated[int, noted("rows", "that the contract asks for")]
    candidate: Errors | None
    mean_baseline: Errors | None
    median_baseline: Errors | None
    reason: Annotated[str, noted("words", "what the gate says, or 'not enough rows'")]


class CandidateCompared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The deployment gate: does the candidate beat the champion on the same holdout rows?"""

    type: ClassVar[str] = "cycle.candidate-compared"
    schema: ClassVar[int] = 3
    stream: ClassVar[str] = "cycle-<model>-<number>"

    passed: Annotated[bool, noted("flag", "better as asked; no champion yet; or forced")]
    champion_version: Annotated[str | None, noted("name/number", "who it was compared with")]
    rows: Annotated[int, noted("rows", "of the holdout")]
    margin: Annotated[float, noted("transformed target", "that the contract asks for")]
    candidate: Errors
    champion: Errors | None
    segments: tuple[SegmentErrors, ...]
    bootstrap: Bootstrap | None
    interval: GroupInterval | None
    confidence_min: Annotated[
        float | None, noted("probability", "that the contract asks for; null: none")
    ]
    refit: Annotated[
        bool, noted("flag", "the contract asks for a refit on all rows, once it has passed")
    ]
    reason: Annotated[str, noted("words", "what the gate says")]


class CandidateRefitted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """A candidate that passed was fitted again, holdout and all. That plan was not gated.

    Reference and frozen residuals stay those of the gated plan.
    """

    type: ClassVar[str] = "cycle.candidate-refitted"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    candidate: Annotated[str, noted("name/number", "'car-price/7'")]
    passed: Annotated[
        bool, noted("flag", "the refitted plan is promoted; false: the gated one, as it was")
    ]
    gated_plan_sha256: Annotated[str, noted("sha256 hex", "the plan that passed the gates")]
    plan_sha256: Annotated[
        str | None, noted("sha256 hex", "the refitted plan, an artefact; null: no refit came of it")
    ]
    identities_sha256: Annotated[
        str | None,
        noted("sha256 hex", "the identities of all its rows, an artefact; null as the plan"),
    ]
    rows: Annotated[int, noted("rows", "training and holdout rows together")]
    holdout_rows: Annotated[int, noted("rows", "of them that judged the gated plan")]
    trained_until: Annotated[str, noted("time", "end of their event time, exclusive")]
    registry_run: Annotated[str | None, noted("id", "the MLflow run of the refit")]
    parity: ParityChecked | None
    reason: Annotated[str, noted("words", "what was refitted and which plan was not gated")]


class PromotionSettled(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The cycle's side of the promotion, in the same transaction as the model's; or its refusal."""

    type: ClassVar[str] = "cycle.promotion-settled"
    schema: ClassVar[int] = 1
    stream: ClassVar[str] = "cycle-<model>-<number>"

    promoted: Annotated[bool, noted("flag", "false: the champion had changed meanwhile")]
    model_version: Annotated[str, noted("name/number", "the candidate")]
    reason: Annotated[str, noted("words", "why")]
