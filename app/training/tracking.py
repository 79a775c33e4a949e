"""MLflow as the model registry: a local SQLite store, one run a training, the alias `champion`.

A by-product of the ledger, never read to decide.
The fitted pipeline is logged for data scientists, in the skops format (loading it executes nothing
that is not named below), with explicit requirements, signature, an example and the code of our own
that it needs; serving never reads it. Importing this module
costs more than a second, so a cycle that keeps its model never does.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import mlflow.sklearn
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

from app.training import native_pipeline, transformers
from app.training.native_pipeline import Kind, NativePipeline
from app.training.pipeline import feature_frame, kinds_of
from app.training.third_party import their_warnings
from domain.canonical import sha256_hex
from domain.contract.contract import Contract
from domain.errors import TrainingFailed, UnknownThing
from domain.events.events import Row
from domain.path_parts import path_part
from domain.times import parse_time

CHAMPION: Final = "champion"
PIPELINE: Final = "pipeline"  # the artefact folder a data scientist loads: runs:/<run>/pipeline
TRUSTED_TYPES: Final = (  # what skops may build beside plain scikit-learn
    "app.training.native_pipeline.NativePipeline",
    "app.training.transformers.ClipToQuantiles",
    "app.training.transformers.ListedOneHot",
    "app.training.transformers.Log",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
_CANDIDATE: Final = "whyledger.candidate"
_PLAN: Final = "whyledger.plan_sha256"
_NO_ALIAS: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no model, no alias
_REQUIREMENTS: Final = ("mlflow", "numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRecord:
    """What is kept about one training."""

    model: str
    candidate: str  # "car-price/7"
    pipeline: Any  # the fitted scikit-learn pipeline, for data scientists; never loaded to serve
    contract: Contract  # whose features it reads, and whose target it predicts
    example: Sequence[Row]  # a few rows it was trained on
    plan: bytes
    parameters: Mapping[str, float | int | str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str] = field(default_factory=dict)  # digests and ledger positions


class MlflowRegistry:
    """The registry in `folder`: `mlflow.db` and `mlartifacts/`, made on first use (seconds, once).

    `time` (UTC) is that of the run: MLflow wants one on each metric.

    Raises:
        TrainingFailed: the store is no MLflow store, or of another version of MLflow.
    """

    @their_warnings()
    def __init__(self, folder: Path, time: str) -> None:
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        folder = folder.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._artefacts = folder / "mlartifacts"
        self._now_ms = int(parse_time(time).timestamp() * 1000)
        try:
            self._client: Any = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        except Exception as error:  # its database's own errors come through
            raise TrainingFailed(
                f"the MLflow store {folder / 'mlflow.db'} cannot be opened: "
                f"{str(error).partition(chr(10))[0]}. It is a "
                "by-product of the ledger: move it away, and a new one is made."
            ) from error

    @their_warnings()
    def record_training(self, record: TrainingRecord) -> str:
        """Keep `record` as a run and a registered version; the run's id.

        Repeating it for the same candidate and plan gives the same run.

        Raises:
            TrainingFailed: MLflow's store or folder cannot be written.
        """
        try:
            return self._record(record)
        except (MlflowException, OSError) as error:
            raise TrainingFailed(
                f"MLflow could not keep the run of {record.candidate!r}: {error}. Free the disk or "
                "the lock on its store, and run the cycle again."
            ) from error

    @their_warnings()
    def add_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        """Add what was measured later (the gates' figures) to a run. Raises UnknownThing."""
        self._version(run)
        self._client.log_batch(run, metrics=self._metrics(metrics))

    @their_warnings()
    def set_champion(self, model: str, run: str) -> None:
        """Point the alias `champion` of `model` at the version of `run`. Raises UnknownThing."""
        found = self._version(run)
        if found.name != model:
            raise UnknownThing(
                f"run {run!r} is of {found.name!r}, not of {model!r}. The MLflow store is a "
                "by-product of the ledger; the model may be trained again."
            )
        self._client.set_registered_model_alias(model, CHAMPION, found.version)

    @their_warnings()
    def champion_run(self, model: str) -> str | None:
        """The run the alias `champion` points at; None without an alias."""
        try:
            run: str = self._client.get_model_version_by_alias(model, CHAMPION).run_id
        except MlflowException as error:
            if error.error_code not in _NO_ALIAS:
                raise
            return None
        return run

    def _record(self, record: TrainingRecord) -> str:
        experiment = self._experiment(record.model)
        tags = {
            **record.tags,
            _CANDIDATE: record.candidate,
            _PLAN: sha256_hex(record.plan),
        }
        known = self._finished(experiment, tags)
        if known is not None:
            return known
        run: str = self._client.create_run(
            experiment, start_time=self._now_ms, tags=tags, run_name=record.candidate
        ).info.run_id
        self._client.log_batch(
            run,
            params=[Param(name, str(value)) for name, value in record.parameters.items()],
            metrics=self._metrics(record.metrics),
        )
        with tempfile.TemporaryDirectory(prefix="whyledger-") as folder:
            _save_pipeline(record, Path(folder) / PIPELINE)
            (Path(folder) / "plan.json").write_bytes(record.plan)
            self._client.log_artifacts(run, folder)
        self._register(record, run)
        self._client.set_terminated(run, end_time=self._now_ms)
        return run

    def _experiment(self, model: str) -> str:
        found = self._client.get_experiment_by_name(model)
        if found is not None:
            known: str = found.experiment_id
            return known
        place = (self._artefacts / path_part(model, "a model")).as_uri()
        made: str = self._client.create_experiment(model, artifact_location=place)
        return made

    def _finished(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """The run that a killed worker had finished for the same candidate and plan."""
        runs = self._client.search_runs(
            [experiment],
            f"tags.`{_CANDIDATE}` = '{tags[_CANDIDATE]}' and tags.`{_PLAN}` = '{tags[_PLAN]}'"
            " and attributes.status = 'FINISHED'",
            max_results=1,
        )
        return runs[0].info.run_id if runs else None

    def _register(self, record: TrainingRecord, run: str) -> None:
        if not self._client.search_registered_models(f"name = '{record.model}'", max_results=1):
            self._client.create_registered_model(record.model)
        self._client.create_model_version(
            record.model,
            f"runs:/{run}/{PIPELINE}",
            run_id=run,
            tags={_CANDIDATE: record.candidate, _PLAN: sha256_hex(record.plan)},
        )

    def _version(self, run: str) -> Any:
        found = self._client.search_model_versions(f"run_id = '{run}'", max_results=1)
        if not found:
            raise UnknownThing(
                f"the MLflow store has no version of run {run!r}; it is a by-product of the "
                "ledger and may be trained again."
            )
        return found[0]

    def _metrics(self, metrics: Mapping[str, float]) -> list[Any]:
        return [Metric(name, value, self._now_ms, 0) for name, value in metrics.items()]


def _save_pipeline(record: TrainingRecord, folder: Path) -> None:
    """The pipeline as `runs:/<run>/pipeline` has it; it loads where this project is not."""
    with tempfile.TemporaryDirectory(prefix="whyledger-") as code:
        mlflow.sklearn.save_model(
            NativePipeline(
                record.pipeline, kinds_of(record.contract), record.contract.target.transform
            ),
            str(folder),
            code_paths=[str(_own_code(Path(code)))],
            signature=_signature(record.contract),
            input_example=feature_frame(record.contract, record.example),
            pip_requirements=[f"{name}=={version(name)}" for name in _REQUIREMENTS],
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
        )


def _own_code(folder: Path) -> Path:
    """The modules that the stored pipeline names, under the path it names them by."""
    there = folder / "app" / "training"
    there.mkdir(parents=True)
    for package in (there.parent, there):
        (package / "__init__.py").touch()
    for module in (native_pipeline, transformers):
        source = Path(str(module.__file__))
        shutil.copyfile(source, there / source.name)  # and not its mode, which lets others read
    return folder / "app"


def _signature(contract: Contract) -> ModelSignature:
    """The features, and the target in its unit. A whole number that may be missing is of any type:
    pandas reads its column as doubles when one is."""
    inputs = [
        ColSpec(_type(kind, feature.missing), name, required=feature.missing != "allowed")
        for feature, (name, kind) in zip(contract.features, kinds_of(contract), strict=True)
    ]
    return ModelSignature(Schema(inputs), Schema([ColSpec(DataType.double, contract.target.name)]))


def _type(kind: Kind, missing: str) -> DataType | AnyType:
    if kind == "integer":
        return AnyType() if missing == "allowed" else DataType.long
    return DataType.string if kind == "text" else DataType.double
