"""What a cycle trained and measured, kept as a run of the model registry, which is a by-product."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.clock import now
from app.cycle.steps.knowledge import Knowledge, Work
from app.cycle.steps.labelled_columns import LabelledColumns
from app.database.locks import exclusive
from app.training.fit import Trained
from app.training.tracking import MlflowRegistry, TrainingRecord
from domain.events.cycle_events import DataMerged

_EXAMPLE_ROWS: Final = 3  # that show a data scientist what the pipeline reads


def record_run(
    known: Knowledge,
    candidate: str,
    labelled: LabelledColumns,
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
        example=labelled.rows[:_EXAMPLE_ROWS],
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
