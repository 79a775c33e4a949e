"""What the registry promises, on the real MLflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from app.database.private_files import keep_private
from app.serving.plan import load_plan
from app.training.dataset import write_dataset
from app.training.fit import fit
from app.training.tracking import MlflowRegistry, TrainingRecord
from domain.contract.contract import Contract
from domain.errors import TrainingFailed, UnknownThing
from domain.events.events import Row
from tests.app.training.training_rows import (
    ESTIMATORS,
    car_contract,
    cars,
    kettle_contract,
    kettles,
)
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
        "contract": CONTRACT,
        "example": ROWS[:3],
        "plan": TRAINED.plan,
        "parameters": TRAINED.parameters,
        "metrics": {"rmse_out_of_fold": 0.25},
        "tags": {"whyledger.label_cutoff": "17"},
    }
    return TrainingRecord(**(given | changed))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store(registry_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the empty MLflow store: making one takes seconds."""
    folder = tmp_path_factory.mktemp("state")
    shutil.copy(registry_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def registry(store: Path) -> MlflowRegistry:
    return MlflowRegistry(store, TIME)


def test_a_model_without_a_promotion_has_no_champion(registry: MlflowRegistry) -> None:
    assert registry.champion_run("never-trained") is None


def test_what_a_process_of_ours_lets_mlflow_keep_is_its_owners_alone(
    store: Path, registry: MlflowRegistry
) -> None:
    before = os.umask(0)
    try:
        keep_private()
        run = registry.record_training(record("kettle-noise/private"))
    finally:
        os.umask(before)
    kept = list((store / "mlartifacts" / "kettle-noise" / run).rglob("*"))
    assert len(kept) > 5
    assert [path for path in kept if path.stat().st_mode & 0o077] == []


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


def shipped(name: str) -> tuple[Contract, str, list[Row]]:
    """A shipped contract or the kettles', with rows of it."""
    if name in ("car-price", "car-sales"):
        contract, digest = car_contract(name)
        return contract, digest, cars(contract)[:400]
    contract, digest = kettle_contract(name)
    return contract, digest, ROWS


@pytest.mark.parametrize("name", ["car-price", "car-sales", *ESTIMATORS])
def test_a_data_scientist_loads_the_pipeline_and_it_answers_the_training_files_as_the_service_does(
    registry: MlflowRegistry, store: Path, tmp_path: Path, name: str
) -> None:
    contract, digest, rows = shipped(name)
    trained = fit(contract, rows, digest)
    run = registry.record_training(
        record(
            f"{contract.model}/6-{name}",
            pipeline=trained.pipeline,
            plan=trained.plan,
            contract=contract,
            example=rows[:3],
        )
    )
    files = write_dataset(tmp_path, "cycle", contract, rows)
    served = load_plan(trained.plan).predict_rows(rows).native
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    folder = client.download_artifacts(run, "pipeline")
    for table in (pd.read_csv(files.csv), pd.read_parquet(files.parquet)):
        for loaded in (mlflow.sklearn.load_model(folder), mlflow.pyfunc.load_model(folder)):
            answered = loaded.predict(table)
            np.testing.assert_allclose(answered, served, rtol=1e-12)
            if contract.estimator.kind != "ridge":  # whose sum has an order of its own
                np.testing.assert_array_equal(answered, served)


def test_the_stored_pipeline_says_what_it_reads_and_answers(
    registry: MlflowRegistry, store: Path
) -> None:
    run = registry.record_training(record("kettle-noise/7"))
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    kept = Model.load(client.download_artifacts(run, "pipeline"))
    assert {column.name: str(column.type) for column in kept.signature.inputs} == {
        "power": "DataType.double",
        "tilt": "DataType.double",
        "shape": "DataType.string",
        "plug": "DataType.long",
    }
    assert [column.name for column in kept.signature.outputs] == ["noise"]
    example = kept.load_input_example(client.download_artifacts(run, "pipeline"))
    assert example["plug"].tolist() == [row["plug"] for row in ROWS[:3]]


def test_the_stored_pipeline_needs_nothing_of_this_project(
    registry: MlflowRegistry, store: Path
) -> None:
    run = registry.record_training(record("kettle-noise/8"))
    client = MlflowClient(tracking_uri=f"sqlite:///{store / 'mlflow.db'}")
    folder = Path(client.download_artifacts(run, "pipeline"))
    assert sorted(path.name for path in (folder / "code").rglob("*.py")) == [
        "__init__.py",
        "__init__.py",
        "native_pipeline.py",
        "transformers.py",
    ]
    script = (
        "import sys; sys.path.insert(0, sys.argv[1] + '/code')\n"
        "from app.training import native_pipeline, transformers\n"
        "ours = [m for n, m in sys.modules.items() if n.startswith(('app.', 'domain'))]\n"
        "print(sorted(m.__file__.removeprefix(sys.argv[1]) for m in ours))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    modules = ("__init__", "native_pipeline", "transformers")
    assert told.stdout == f"{[f'/code/app/training/{name}.py' for name in modules]}\n"


def test_a_store_that_cannot_be_written_is_a_clear_error(registry: MlflowRegistry) -> None:
    with pytest.raises(TrainingFailed, match=r"MLflow could not keep.*run the cycle again"):
        registry.record_training(record("kettle-noise/9", parameters={"a" * 300: 1}))


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
