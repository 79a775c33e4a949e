"""The alias in the real MLflow store follows who serves in the ledger."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from mlflow import MlflowClient

from app.audit.replay import replay
from app.cause import Cause
from app.cycle.promotions import roll_back
from app.database.durable_files import replace_file
from app.training import registry_alias
from app.training.registry_alias import follow_champion
from app.training.tracking import MlflowRegistry, TrainingRecord
from tests.app.car_ledger import CarLedger, bootstrapped


def registry(cars: CarLedger) -> MlflowRegistry:
    return MlflowRegistry(cars.settings.state_dir, "1970-01-01T00:00:00Z")


def aliased(cars: CarLedger) -> str | None:
    return registry(cars).champion_run("car-price")


def follows(cars: CarLedger) -> bool:
    return follow_champion(cars.ledger, cars.settings, "car-price")


def test_the_alias_follows_promotion_and_rollback(new_cars: CarLedger) -> None:
    cars = bootstrapped(new_cars)
    assert aliased(cars) is None
    assert follows(cars)
    first = cars.view().registry_run
    assert aliased(cars) == first
    assert not follows(cars), "it agrees already"
    cars.lives_through(1976, force="a second champion")
    second = cars.view().registry_run
    assert second != first
    assert follows(cars)
    assert aliased(cars) == second
    roll_back(
        cars.ledger,
        "car-price",
        to="car-price/1",
        reason="customers complained",
        cause=Cause.unauthenticated("c"),
    )
    assert aliased(cars) == second, "the event alone moves nothing in MLflow"
    assert follows(cars)
    assert aliased(cars) == first


def test_what_was_set_last_is_remembered_while_nobody_else_sets_it(
    cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []

    def replaced(path: Path, content: bytes) -> None:
        with cars.settings.by_products_lock.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(False)
            except BlockingIOError:
                held.append(True)
        replace_file(path, content)

    monkeypatch.setattr(registry_alias, "replace_file", replaced)
    cars.lives_through(1976, force="a second champion")
    assert follows(cars)
    assert held == [True]


def test_an_alias_that_somebody_moved_is_noticed_by_a_replay_and_set_at_the_next_cycle(
    cars: CarLedger,
) -> None:
    first = cars.view().registry_run or ""
    cars.lives_through(1976, force="a second champion")
    assert follows(cars)
    second = aliased(cars)
    registry(cars).set_champion("car-price", first)
    assert not follows(cars), "nobody looks where the alias stands"
    (said,) = replay(cars.ledger, cars.settings).aliases
    assert f"is at run {first}, the ledger names {second}" in said
    assert follows(cars)
    assert aliased(cars) == second
    assert replay(cars.ledger, cars.settings).whole


def test_a_model_that_never_had_a_champion_has_no_alias(new_cars: CarLedger) -> None:
    assert not follows(new_cars)
    assert not follows(new_cars.adopts())
    assert aliased(new_cars) is None


def test_a_candidates_run_holds_what_the_gates_measured(cars: CarLedger) -> None:
    cars.lives_through(1976, force="a second champion")
    state = cars.cycle(2).state
    run = state["cycle.candidate-trained"]["registry_run"]
    store = f"sqlite:///{cars.settings.state_dir / 'mlflow.db'}"
    metrics = MlflowClient(tracking_uri=store).get_run(run).data.metrics
    compared = state["cycle.candidate-compared"]
    assert metrics["candidate_rmse"] == compared["candidate"]["rmse"]
    assert metrics["champion_rmse"] == compared["champion"]["rmse"]
    assert metrics["deployment_gate_passed"] == float(compared["passed"])
    assert metrics["evaluation_rows"] == state["cycle.candidate-evaluated"]["rows"]


def test_a_registry_that_lost_the_run_stops_no_cycle(
    cars: CarLedger, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in = MlflowRegistry.record_training

    def take_in_and_lose(registry: MlflowRegistry, record: TrainingRecord) -> str:
        return take_in(registry, record)[::-1]  # a run that the store does not have

    monkeypatch.setattr(MlflowRegistry, "record_training", take_in_and_lose)
    cars.lives_through(1976, force="a second champion")
    assert cars.cycle(2).status == "ended"
    assert "the registry did not take the gates' figures" in caplog.text
