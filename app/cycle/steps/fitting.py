"""merge, train, parity: from labelled rows to a candidate whose serving plan equals its pipeline.

Imported when a cycle first trains: one that keeps its model never pays for scikit-learn and MLflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from app.clock import now
from app.cycle.steps.knowledge import Done, Knowledge, Work
from app.cycle.steps.residuals import frozen_artefact, residual
from app.cycle.steps.split import Split, split_rows
from app.database.locks import exclusive
from app.ledger.store import Artefact
from app.projections.labels import LabelledRow
from app.serving.plan import load_plan
from app.training.dataset import write_dataset
from app.training.fit import Trained, fit, predict_pipeline
from app.training.provenance import code_commit, lock_sha256
from app.training.tracking import MlflowRegistry, TrainingRecord
from app.training.versioning import track
from domain.canonical import canonical_bytes, sha256_hex
from domain.contract.estimators import Ridge
from domain.contract.window import stretch_start
from domain.decisions.parity import check_parity
from domain.decisions.rule_numbers import FIRST, form
from domain.drift.dependence import Depending, block_of
from domain.drift.measurement import training_drift
from domain.drift.reference import Reference, freeze_reference
from domain.errors import LedgerBusy, LedgerDamaged, WhyledgerError
from domain.events.cycle_events import CandidateTrained, CycleHalted, DataMerged, TrainingFailed
from domain.events.events import Row
from domain.events.findings import WindowCheck
from domain.events.gate_events import ParityChecked
from domain.events.verdicts import told_apart
from domain.residuals.frozen import Residual
from domain.times import just_after

_EXAMPLE_ROWS: Final = 3  # that show a data scientist what the pipeline reads
_P_LIMIT: Final = 0.05  # below it a model looks drifted on its own training data


def merge(work: Work) -> Done:
    """Merge and de-duplicate the labelled rows, split them, write and version the data set.

    Where too many of them break the contract of the cycle it halts: what is left is no sample of
    what the model is asked about.
    """
    known = work.known
    share = known.trainable.left_out_share
    if share is not None and share > known.contract.refused_share_max:
        return _halted_by_pool(known, share)
    try:
        split = split_rows(known)
        rows = _rows(known.trainable.rows)
        repository = known.settings.state_dir / "merged"
        written = write_dataset(
            repository / known.started.model, known.started.cycle, known.contract, rows
        )
        pointer = _tracked(work, repository, written.csv)
    except (LedgerBusy, LedgerDamaged):
        raise  # nothing is wrong with the training: the next attempt reads again
    except (WhyledgerError, OSError) as error:
        return Done(event=TrainingFailed(step="merge", reason=reason_of(error)))
    identities = canonical_bytes([row.identity for row in split.training])
    identities_sha256 = sha256_hex(identities)
    return Done(
        event=DataMerged(
            merged_rows=len(rows),
            left_out=known.trainable.left_out,
            duplicates=known.duplicates,
            training_rows=len(split.training),
            holdout_rows=len(split.holdout),
            holdout_groups=split.drawn.groups,
            holdout_share=split.drawn.share,
            window_attempt=known.window_attempt,
            new_samples=known.new_samples,
            label_cutoff=known.cutoff,
            dataset_sha256=written.sha256,
            identities_sha256=identities_sha256,
            dvc_pointer=pointer,
        ),
        artefacts=(Artefact(identities_sha256, "identities", identities),),
    )


def _halted_by_pool(known: Knowledge, share: float) -> Done:
    pool, (start, end) = known.trainable, known.bounds
    rows = len(pool.rows) + pool.left_out_rows
    high = known.contract.refused_share_max
    observed, allowed = told_apart(share, high)
    return Done(
        event=CycleHalted(
            window_start=start,
            window_end=end,
            rows=rows,
            refused_rows=pool.left_out_rows,
            checks=(
                WindowCheck(
                    subject="training pool",
                    statistic="refused_share",
                    observed=share,
                    low=None,
                    high=high,
                    passed=False,
                ),
            ),
            labels=known.label_shift,
            reason=f"{pool.left_out_rows:,} of {rows:,} labelled rows break the contract in force "
            f"({pool.reasons}), a share of {observed}, above the {allowed} it allows; send these "
            "rows corrected, let the contract allow what is missing, or raise refused_share_max",
        )
    )


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
        return Done(event=TrainingFailed(step="train", reason=reason_of(error)))
    frozen = canonical_bytes(reference.to_document())
    drift = training_drift(reference)
    times = [row.event_time for row in split.training]
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


def record_gates(work: Work) -> None:
    """Add what the gates measured to the candidate's run; what was not measured is left out.

    Raises:
        UnknownThing: the MLflow store has lost the run.
    """
    state = work.state
    if state.trained is None or state.trained.registry_run is None:
        return
    metrics: dict[str, float] = {}
    if state.parity is not None:
        metrics["parity_difference"] = state.parity.largest_difference
    for name, gate in (("evaluation", state.evaluated), ("deployment", state.compared)):
        if gate is not None:
            metrics[f"{name}_gate_passed"] = float(gate.passed)
            metrics[f"{name}_rows"] = float(gate.rows)
    candidate = state.evaluated.candidate if state.evaluated else None
    champion = state.compared.champion if state.compared else None
    for name, errors in (("candidate", candidate), ("champion", champion)):
        if errors is not None:
            metrics[f"{name}_rmse"] = errors.rmse
            metrics[f"{name}_rmse_native"] = errors.rmse_native
            metrics[f"{name}_mae_native"] = errors.mae_native
    with exclusive(work.known.settings.by_products_lock):
        MlflowRegistry(work.known.settings.state_dir, now()).add_metrics(
            state.trained.registry_run, metrics
        )


def fit_rows(known: Knowledge, labelled: Sequence[LabelledRow]) -> Trained:
    """Fit the contract's pipeline on these rows, in their order. Raises TrainingFailed."""
    return fit(
        known.contract,
        _rows(labelled),
        known.started.contract_digest,
        listed_only=form(known.started, "encoding") > FIRST,
    )


def parity_of(
    known: Knowledge, fitted: Trained, stored: bytes, labelled: Sequence[LabelledRow]
) -> ParityChecked:
    """Whether the stored plan predicts these rows as the fitted pipeline does."""
    plan, rows = load_plan(stored), _rows(labelled)
    return check_parity(
        pipeline=predict_pipeline(known.contract, fitted.pipeline, rows),
        plan=np.asarray(plan.predict_rows(rows).transformed),
        exact=not isinstance(known.contract.estimator, Ridge),
        terms=plan.terms_of(rows) if form(known.started, "parity") > 1 else None,
    )


def candidate_name(known: Knowledge) -> str:
    """The candidate's version: the model's candidates are numbered from 1, kept or not."""
    return f"{known.started.model}/{known.model.candidates + 1}"


def _freeze(known: Knowledge, split: Split, fitted: Trained) -> Reference:
    start = known.drift_window_start
    since = stretch_start(known.started.as_of, known.contract.reference)
    kept = np.array([row.event_time >= since for row in split.training])
    labelled = [row for row in split.training if row.event_time >= since]
    rows = [row.row for row in labelled]
    kind, group = known.contract.blocks, known.contract.group
    depending = None
    if kind is not None:  # labelled rows are in order of event time
        blocks = [block_of(kind, row.event_time, row.row.get(group)) for row in labelled]
        depending = Depending(kind, blocks)
    return freeze_reference(
        [(feature.name, feature.type) for feature in known.contract.features],
        {f.name: [row.get(f.name) for row in rows] for f in known.contract.features},
        fitted.target[kept],
        fitted.out_of_fold[kept],
        # A later window is expected to hold as many rows as the latest one does.
        max(1, sum(row.event_time >= start for row in known.trainable.rows)),
        None if form(known.started, "bins") == FIRST else known.contract.target.transform,
        depending,
    )


def _tracked(work: Work, repository: Path, csv: Path) -> str:
    """DVC's pointer to the merged rows, relative to their repository; empty when it is not told."""
    if not work.by_products:
        return ""
    with exclusive(work.known.settings.by_products_lock):
        pointer = track(repository, csv)
    return str(Path(work.known.started.model) / pointer.name)


def _residuals(known: Knowledge, split: Split, fitted: Trained) -> tuple[Artefact, ...]:
    """The candidate's residuals on its holdout; none without a holdout.

    Raises:
        RequestInvalid: it cannot predict one of those rows.
    """
    if not split.holdout:
        return ()
    plan = load_plan(fitted.plan)
    predicted = plan.predict_rows(_rows(split.holdout)).native.tolist()
    log, group = plan.target.transform == "log", known.contract.group
    return (
        frozen_artefact(
            Residual(row.identity, str(row.row.get(group)), row.event_time, apart)
            for row, native in zip(split.holdout, predicted, strict=True)
            if (apart := residual(log, row.label, native)) is not None
        ),
    )


def record_run(
    known: Knowledge,
    candidate: str,
    labelled: Sequence[LabelledRow],
    fitted: Trained,
    merged: DataMerged,
    **tags: str,
) -> str:
    """Keep what was fitted on these rows as a run of the registry; the run's id.

    Raises:
        TrainingFailed: MLflow's store or folder cannot be written.
    """
    residual = fitted.out_of_fold - fitted.target
    record = TrainingRecord(
        model=known.started.model,
        candidate=candidate,
        pipeline=fitted.pipeline,
        contract=known.contract,
        example=_rows(labelled[:_EXAMPLE_ROWS]),
        plan=fitted.plan,
        parameters=fitted.parameters | {"seed": fitted.seed, "estimator": fitted.estimator},
        metrics={
            "rmse_out_of_fold": float(np.sqrt(np.mean(residual**2))),
            "training_rows": float(merged.training_rows),
            "holdout_rows": float(merged.holdout_rows),
        },
        tags={
            "whyledger.cycle": known.started.cycle,
            "whyledger.as_of": known.started.as_of,
            "whyledger.dataset_sha256": merged.dataset_sha256,
            "whyledger.identities_sha256": merged.identities_sha256,
            "whyledger.contract_digest": known.started.contract_digest,
            "whyledger.label_cutoff": str(merged.label_cutoff),
            **{f"whyledger.{name}": said for name, said in tags.items()},
        },
    )
    with exclusive(known.settings.by_products_lock):
        return MlflowRegistry(known.settings.state_dir, now()).record_training(record)


def _rows(labelled: Sequence[LabelledRow]) -> list[Row]:
    return [row.row for row in labelled]


def reason_of(error: Exception) -> str:
    """What went wrong, with its remedy."""
    return (
        error.message if isinstance(error, WhyledgerError) else f"{error}. Make room, or mend it."
    )
