"""The alias in the real MLflow store follows who serves in the ledger."""

from __future__ import annotations

from app.promotions import roll_back
from app.registry_alias import follow_champion
from app.training.tracking import MlflowRegistry
from tests.app.car_ledger import CarLedger


def aliased(cars: CarLedger) -> str | None:
    return MlflowRegistry(cars.settings.state_dir, 0).champion_run("car-price")


def follows(cars: CarLedger) -> bool:
    return follow_champion(cars.ledger, cars.settings, "car-price")


def test_the_alias_follows_promotion_and_rollback(cars: CarLedger) -> None:
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
        actor="local:unauthenticated",
        correlation_id="c",
    )
    assert aliased(cars) == second, "the event alone moves nothing in MLflow"
    assert follows(cars)
    assert aliased(cars) == first


def test_a_model_that_never_had_a_champion_has_no_alias(new_cars: CarLedger) -> None:
    assert not follows(new_cars)
    assert not follows(new_cars.adopts())
    assert aliased(new_cars) is None
