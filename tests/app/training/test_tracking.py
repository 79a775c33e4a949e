"""What the registry promises, on the real MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pytest
from mlflow.tracking import MlflowClient

from app.training.fit import fit, predict_pipeline
from app.training.tracking import MlflowRegistry, TrainingRecord
from domain.errors import TrainingFailed, UnknownThing
from tests.app.training.training_rows import ESTIMATORS, kettle_contract, kettles
from tests.repository import REPOSITORY

CONTRACT, DIGEST = kettle_contract("hist-gradient-boosting")
ROWS = kettles(60)
TRAINED = fit(CONTRACT, ROWS, DIGEST)
TIME = "2023-11-14T22:13:20.000000Z"


def record(candidate: str = "kettle-noise/1", **changed: object) -> TrainingRecord:
    given: dict[str, object] = {
        "model": "kettle-noise",
        "candidate": candidate,
        "pipeline": TRAINED.pipeline,
        "plan": TRAINED.plan,
        "parameters": TRAINED.parameters,
        "metrics": {"rmse_out_of_fold": 0.25},
        "tags": {"whyledger.label_cutoff": "17"},
    }
    return TrainingRecord(**(given | changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose MLflow store is made once: making it takes seconds."""
    folder = tmp_path_factory.mktemp("state")
    MlflowRegistry(folder, TIME)
    return folder


@pytest.fixture
def registry(store: Path) -> MlflowRegistry:
    return MlflowRegistry(store, TIME)


def test_a_model_without_a_promotion_has_no_champion(registry: MlflowRegistry) -> None:
    assert registry.champion_run("never-trained") is None


def test_the_champion_is_the_run_that_was_set_last(registry: MlflowRegistry) -> None:
    first = registry.record_training(record("kettle-noise/1"))
    second = registry.record_training(record("kettle-noise/2"))
    assert first != second
    registry.set_champion("kettle-noise", first)
    registry.set_champion("kettle-noise", second)
    registry.set_champion("kettle-noise", second)
    assert registry.champion_run("kettle-noise") == second


def test_recording_the_same_candidate_again_gives_the_same_run(registry: MlflowRegistry) -> None:
    first = registry.record_training(record("kettle-noise/3"))
    assert registry.record_training(record("kettle-noise/3")) == first


def test_a_run_nobody_recorded_is_refused(registry: MlflowRegistry) -> None:
    with pytest.raises(UnknownThing, match="'nobody'"):
        registry.set_champion("kettle-noise", "nobody")
    with pytest.raises(UnknownThing, match="'nobody'"):
        registry.add_metrics("nobody", {"rmse": 0.1})


def test_the_run_of_another_model_is_no_champion_of_this_one(registry: MlflowRegistry) -> None:
    run = registry.record_training(record("kettle-noise/4"))
    with pytest.raises(UnknownThing, match="is of 'kettle-noise', not of 'car-price'"):
        registry.set_champion("car-price", run)


def test_a_run_holds_parameters_metrics_plan_and_tags(
    registry: MlflowRegistry, store: Path
) -> None:
    run = registry.record_training(record("kettle-noise/5"))
    registry.add_metrics(run, {"rmse_holdout": 0.5})
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    kept = client.get_run(run)
    assert kept.info.status == "FINISHED"
    assert kept.data.params == {name: str(value) for name, value in TRAINED.parameters.items()}
    assert kept.data.metrics == {"rmse_out_of_fold": 0.25, "rmse_holdout": 0.5}
    assert kept.data.tags["whyledger.candidate"] == "kettle-noise/5"
    assert kept.data.tags["whyledger.plan_sha256"] == TRAINED.plan_sha256
    assert kept.data.tags["whyledger.label_cutoff"] == "17"
    folder = Path(client.download_artifacts(run, ""))
    assert (folder / "plan.json").read_bytes() == TRAINED.plan
    assert "scikit-learn==" in (folder / "pipeline" / "requirements.txt").read_text()
    assert store in folder.parents


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_data_scientist_loads_the_champions_pipeline_from_mlflow(
    registry: MlflowRegistry, store: Path, estimator: str
) -> None:
    contract, digest = kettle_contract(estimator)
    trained = fit(contract, ROWS, digest)
    run = registry.record_training(
        record(f"kettle-noise/6-{estimator}", pipeline=trained.pipeline, plan=trained.plan)
    )
    registry.set_champion("kettle-noise", run)
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    folder = client.download_artifacts(registry.champion_run("kettle-noise"), "pipeline")
    loaded = mlflow.sklearn.load_model(folder)
    expected = predict_pipeline(contract, trained.pipeline, ROWS)
    np.testing.assert_array_equal(predict_pipeline(contract, loaded, ROWS), expected)


def test_a_store_that_cannot_be_written_is_a_clear_error(registry: MlflowRegistry) -> None:
    with pytest.raises(TrainingFailed, match=r"MLflow could not keep.*run the cycle again"):
        registry.record_training(record("kettle-noise/7", parameters={"a" * 300: 1}))


def test_a_file_that_is_no_store_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    with pytest.raises(TrainingFailed, match=r"cannot be opened.*move it away, and a new one"):
        MlflowRegistry(tmp_path, TIME)


def test_mlflow_reports_nothing_home(tmp_path: Path) -> None:
    script = (
        "import json, os, sys, pathlib\n"
        "from app.training.tracking import MlflowRegistry\n"
        "MlflowRegistry(pathlib.Path(sys.argv[1]), '1970-01-01T00:00:00Z')\n"
        "from mlflow.telemetry.utils import is_telemetry_disabled\n"
        "print(json.dumps(bool(is_telemetry_disabled())))\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    allowed = {k: v for k, v in os.environ.items() if k not in ("DO_NOT_TRACK", "CI")}
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "state")],
        cwd=REPOSITORY,
        env=allowed | {"HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "false"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(told.stdout) is True
    assert told.stderr == ""
    assert list(home.rglob("*")) == []
