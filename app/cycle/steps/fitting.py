"""train, parity: from merged rows to a candidate whose serving plan equals its pipeline.

Imported when a cycle first trains: one that keeps its model never pays for scikit-learn and MLflow.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.labelled_columns import LabelledColumns
from app.cycle.steps.merging import training_fault
from app.cycle.steps.registry_runs import record_run
from app.cycle.steps.residuals import frozen_artefact, residual
from app.cycle.steps.split import Split, split_rows
from app.ledger.store import Artefact
from app.serving.plan import load_plan
from app.training.fit import Trained, fit, predict_pipeline
from app.training.provenance import code_commit, lock_sha256
from domain.canonical import canonical_bytes, sha256_hex
from domain.contract.estimators import Ridge
from domain.contract.window import stretch_start
from domain.decisions.parity import check_parity
from domain.decisions.rule_numbers import FIRST, form
from domain.drift.dependence import Depending, block_of
from domain.drift.measurement import training_drift
from domain.drift.reference import Reference, freeze_reference
from domain.errors import LedgerBusy, LedgerDamaged, WhyledgerError
from domain.events.cycle_events import CandidateTrained, TrainingFailed
from domain.events.gate_events import ParityChecked
from domain.residuals.frozen import Residual
from domain.times import just_after

_P_LIMIT: Final = 0.05  # below it a model looks drifted on its own training data


def train(work: Work) -> Done:
    """Fit the candidate, freeze its drift reference, keep the run in the registry."""
    known = work.known
    merged = work.state.merged
    if merged is None:
        raise LedgerDamaged.without(known.started.cycle, "training", "merged data")
    split = split_rows(known)
    try:
        fitted = work.fitted = fit_rows(known, split.training)
        reference = _freeze(known, split, fitted)
        residuals = _residuals(known, split, fitted)
        candidate, run = candidate_name(known), None
        if work.by_products:
            run = record_run(known, candidate, split.training, fitted, merged)
    except (LedgerBusy, LedgerDamaged):
        raise
    except (WhyledgerError, OSError) as error:
        return Done(event=TrainingFailed(step="train", reason=training_fault(error)))
    frozen = canonical_bytes(reference.to_document())
    drift = training_drift(reference)
    times = split.training.event_times
    return Done(
        event=CandidateTrained(
            candidate=candidate,
            plan_sha256=fitted.plan_sha256,
            reference_sha256=sha256_hex(frozen),
            dataset_sha256=merged.dataset_sha256,
            identities_sha256=merged.identities_sha256,
            training_rows=len(split.training),
            trained_from=min(times),
            trained_until=just_after(max(times)),
            label_cutoff=merged.label_cutoff,
            estimator=fitted.estimator,
            parameters=fitted.parameters,
            seed=fitted.seed,
            code_commit=code_commit(),
            lock_sha256=lock_sha256(),
            libraries=fitted.libraries,
            registry_run=run,
            target_ks_p_value=drift.p_value,
            looks_drifted=drift.p_value < _P_LIMIT,
            residuals_sha256=residuals[0].sha256 if residuals else None,
        ),
        artefacts=(
            Artefact(fitted.plan_sha256, "plan", fitted.plan),
            Artefact(sha256_hex(frozen), "reference", frozen),
            *residuals,
        ),
    )


def check(work: Work) -> Done:
    """The parity gate, on the holdout; on the training rows when nothing could be held out.

    After a resume the pipeline is fitted again: same rows, order and seed give the same pipeline.
    """
    known = work.known
    if work.state.trained is None:
        raise LedgerDamaged.without(known.started.cycle, "the parity gate", "a candidate")
    split = split_rows(known)
    fitted: Trained = work.fitted or fit_rows(known, split.training)
    plan = known.ledger.artefact(work.state.trained.plan_sha256)
    return Done(event=parity_of(known, fitted, plan, split.holdout or split.training))


def fit_rows(known: Knowledge, labelled: LabelledColumns) -> Trained:
    """Fit the contract's pipeline on these rows, in their order. Raises TrainingFailed."""
    return fit(
        known.contract,
        labelled.rows,
        known.started.contract_digest,
        listed_only=form(known.started, "encoding") > FIRST,
    )


def parity_of(
    known: Knowledge, fitted: Trained, stored: bytes, labelled: LabelledColumns
) -> ParityChecked:
    """Whether the stored plan predicts these rows as the fitted pipeline does."""
    plan, rows = load_plan(stored), labelled.rows
    return check_parity(
        pipeline=predict_pipeline(known.contract, fitted.pipeline, rows),
        plan=np.asarray(plan.predict_rows(rows).transformed),
        exact=not isinstance(known.contract.estimator, Ridge),
        terms=plan.terms_of(rows) if form(known.started, "parity") > FIRST else None,
    )


def candidate_name(known: Knowledge) -> str:
    """The candidate's version: the model's candidates are numbered from 1, kept or not."""
    return f"{known.started.model}/{known.model.candidates + 1}"


def _freeze(known: Knowledge, split: Split, fitted: Trained) -> Reference:
    start = known.drift_window_start
    since = stretch_start(known.started.as_of, known.contract.reference)
    kept = split.training.since(since)
    labelled = split.training.only(kept)
    kind, group = known.contract.blocks, known.contract.group
    depending = None
    if kind is not None:  # labelled rows are in order of event time
        pairs = zip(labelled.event_times, labelled.column(group), strict=True)
        blocks = [block_of(kind, time, value) for time, value in pairs]
        depending = Depending(kind, blocks)
    return freeze_reference(
        [(feature.name, feature.type) for feature in known.contract.features],
        {f.name: labelled.column(f.name) for f in known.contract.features},
        fitted.target[kept],
        fitted.out_of_fold[kept],
        # A later window is expected to hold as many rows as the latest one does.
        max(1, int(known.trainable.rows.since(start).sum())),
        None if form(known.started, "bins") == FIRST else known.contract.target.transform,
        depending,
    )


def _residuals(known: Knowledge, split: Split, fitted: Trained) -> tuple[Artefact, ...]:
    """The candidate's residuals on its holdout; none without a holdout.

    Raises:
        RequestInvalid: it cannot predict one of those rows.
    """
    if not split.holdout:
        return ()
    plan = load_plan(fitted.plan)
    predicted = plan.predict_rows(split.holdout.rows).native.tolist()
    log, group = plan.logarithmic, known.contract.group
    return (
        frozen_artefact(
            Residual(row.identity, str(row.row.get(group)), row.event_time, apart)
            for row, native in zip(split.holdout, predicted, strict=True)
            if (apart := residual(log, row.label, native)) is not None
        ),
    )
