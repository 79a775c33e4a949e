"""refit: a candidate that passed the gates is fitted again, on all rows, before it is promoted.

What the gates measured they measured of the plan before. Nobody has judged the refitted one but the
parity gate, and its event says so; on its first labelled window the two are compared.
"""

from __future__ import annotations

from msgspec.structs import replace

from app.cycle.steps.fitting import fit_rows, parity_of
from app.cycle.steps.knowledge import Done, Work
from app.cycle.steps.labelled_columns import LabelledColumns
from app.cycle.steps.merging import training_fault
from app.cycle.steps.registry_runs import record_run
from app.ledger.store import Artefact
from app.training.fit import Trained
from domain.canonical import canonical_bytes, sha256_hex
from domain.errors import LedgerBusy, LedgerDamaged, WhyledgerError
from domain.events.cycle_events import CandidateRefitted, CandidateTrained, DataMerged
from domain.events.gate_events import ParityChecked
from domain.times import just_after


def refit(work: Work) -> Done:
    """Fit the candidate on training and holdout rows; where no sound plan comes of it, say so.

    Reference and residuals stay those of the gated plan. Then that one is promoted as it was.
    """
    known, gated, merged = work.known, work.state.trained, work.state.merged
    if gated is None or merged is None:
        raise LedgerDamaged.without(known.started.cycle, "a refit", "a candidate")
    rows = known.trainable.rows
    nothing = CandidateRefitted(
        candidate=gated.candidate,
        passed=False,
        gated_plan_sha256=gated.plan_sha256,
        plan_sha256=None,
        identities_sha256=None,
        rows=len(rows),
        holdout_rows=merged.holdout_rows,
        trained_until=just_after(max(rows.event_times)),
        registry_run=None,
        parity=None,
        reason="",
    )
    try:
        fitted = fit_rows(known, rows)
        parity = parity_of(known, fitted, fitted.plan, rows)
        identities = canonical_bytes(rows.identities)
        run = None
        if work.by_products and parity.passed:
            run = _recorded(work, gated, merged, fitted, rows, sha256_hex(identities))
    except (LedgerBusy, LedgerDamaged):
        raise
    except (WhyledgerError, OSError) as error:
        why = f"No refit came of {len(rows):,} rows, so the gated plan is promoted as it was: "
        return Done(event=replace(nothing, reason=why + training_fault(error)))
    return Done(
        event=replace(
            nothing,
            passed=parity.passed,
            plan_sha256=fitted.plan_sha256,
            identities_sha256=sha256_hex(identities),
            registry_run=run,
            parity=parity,
            reason=_words(nothing, parity),
        ),
        artefacts=(
            Artefact(fitted.plan_sha256, "plan", fitted.plan),
            Artefact(sha256_hex(identities), "identities", identities),
        ),
    )


def _words(refitted: CandidateRefitted, parity: ParityChecked) -> str:
    rows = (
        f"Refitted on {refitted.rows:,} rows, {refitted.holdout_rows:,} of them the holdout that "
        "judged the plan before"
    )
    gated = f"the gated plan is {refitted.gated_plan_sha256}"
    if parity.passed:
        return f"{rows}: this plan was not gated, {gated}. Parity: {parity.reason}"
    return (
        f"{rows}: it does not equal its pipeline, so the gated plan is promoted as it was; "
        f"{gated}. Parity: {parity.reason}"
    )


def _recorded(
    work: Work,
    gated: CandidateTrained,
    merged: DataMerged,
    fitted: Trained,
    rows: LabelledColumns,
    identities_sha256: str,
) -> str:
    """The refit as a run of the registry, beside that of the gated plan, whose figures it lacks."""
    return record_run(
        work.known,
        gated.candidate,
        rows,
        fitted,
        replace(
            merged,
            training_rows=len(rows),
            holdout_rows=0,
            identities_sha256=identities_sha256,
        ),
        refit="after gates; this plan was not gated",
        gated_plan_sha256=gated.plan_sha256,
    )
