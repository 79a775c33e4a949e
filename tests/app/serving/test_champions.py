"""The champions in memory: swapped whole, never for one that does not load, within a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.serving.champions import Champions
from app.settings import Settings
from domain.errors import LedgerBusy, NoChampion, NotReady, UnknownModel
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    adopt,
    plan_bytes,
    predict,
    process_behind,
    promote,
    running,
    serve_champion,
)
from tests.patience import until


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
        yield client


def test_nothing_is_served_before_the_first_look(ledger: Ledger) -> None:
    champions = Champions(ledger, 0.5, 5.0)
    with pytest.raises(NotReady, match="being loaded"):
        champions.of("car-price")
    champions.refresh()
    with pytest.raises(UnknownModel, match="'car-price' is unknown"):
        champions.of("car-price")


def test_a_promotion_by_another_process_serves_without_being_told(
    service: TestClient, settings: Settings
) -> None:
    other = open_ledger(settings)
    promote(other, 2, plan_bytes(0.5))
    other.close()
    until(lambda: predict(service, AMC)["model_version"] == "car-price/2")


def test_a_plan_that_does_not_load_leaves_the_old_champion_and_raises_an_alarm(
    service: TestClient,
) -> None:
    process = process_behind(service)
    promote(process.ledger, 2, b'{"format": "whyledger.plan/1"}')
    process.champions.refresh()
    assert predict(service, AMC)["model_version"] == "car-price/1"
    alarm = "champion 'car-price/2' does not load: the plan has"
    assert alarm in service.get("/readyz").json()["alarms"]["car-price"]
    model = service.get("/models/car-price").json()
    assert (model["champion"], model["answers"]) == ("car-price/2", "car-price/1")
    health = service.get("/models/car-price/health").json()
    assert alarm in health["alarm"]
    assert health["state"] != "healthy"
    assert health["reasons"][-1] == health["alarm"]
    promote(process.ledger, 3, plan_bytes(0.5))
    process.champions.refresh()
    assert predict(service, AMC)["model_version"] == "car-price/3"
    assert service.get("/readyz").json()["alarms"] == {}


def test_without_any_plan_that_loads_there_is_no_champion(sqlite_settings: Settings) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        process = process_behind(client)
        promote(process.ledger, 1, b"{}")
        process.champions.refresh()
        with pytest.raises(NoChampion, match="'car-price/1' does not load"):
            process.champions.of("car-price").ready()
        answer = client.post("/predictions", json={"model": "car-price", "row": AMC})
        assert answer.status_code == 503


def test_a_ledger_out_of_reach_is_an_alarm_and_the_champion_goes_on(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_behind(service)

    def unreachable() -> int:
        raise LedgerBusy("the database is out of reach. Try again.")

    for asked in ("size", "sizes"):
        monkeypatch.setattr(process.ledger, asked, unreachable)
    process.champions.refresh()
    assert process.champions.of("car-price").ready().model_version == "car-price/1"
    answer = service.get("/readyz")
    assert answer.status_code == 503
    assert "out of reach" in answer.json()["alarms"]["ledger"]
    assert "Retry-After" in answer.headers
    assert service.get("/healthz").status_code == 200


def test_under_promotions_every_answer_is_the_one_of_the_model_it_names(
    service: TestClient,
) -> None:
    process = process_behind(service)
    intercepts = {f"car-price/{number}": 0.25 * number for number in range(1, 12)}
    seen: dict[str, set[float]] = {}
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = predict(service, AMC)
            made = answer["predictions"][0]["prediction"]
            seen.setdefault(answer["model_version"], set()).add(made)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        promote(process.ledger, number, plan_bytes(intercepts[f"car-price/{number}"]))
        process.champions.refresh()
        until(partial(seen.__contains__, f"car-price/{number}"))
    stop.set()
    for thread in threads:
        thread.join()
    assert len(seen) > 3
    assert all(len(predictions) == 1 for predictions in seen.values())
    assert len({next(iter(each)) for each in seen.values()}) == len(seen)


@pytest.mark.parametrize("models", [2, 6])
def test_an_adoption_and_a_promotion_load_their_own_model_alone(
    settings: Settings, models: int
) -> None:
    """Given models that are served, when one contract is adopted anew, or one candidate promoted,
    then no other contract is read, and no plan but that of who was promoted."""
    with running(settings) as client:
        for number in range(models - 1):
            adopt(client, CAR_PRICE.replace(b"model: car-price", b"model: other-%d" % number))
        adopt(client)
        serve_champion(client)
        process = process_behind(client)
        others = {name: each for name, each in process.champions.all().items() if "other" in name}
        assert len(others) == models - 1
        asked: list[str] = []
        event.listen(
            process.ledger.engine, "before_cursor_execute", lambda *said: asked.append(said[2])
        )

        adopt(client, CAR_PRICE.replace(b"title: List price", b"title: The list price"))
        assert process.champions.of("car-price").contract.title.startswith("The list")
        read = [statement for statement in asked if statement.startswith("SELECT")]
        assert sum("contracts_1.document" in statement for statement in read) == 1
        assert not any("artefacts.bytes" in statement for statement in read)

        asked.clear()
        serve_champion(client, 2, 0.5)
        read = [statement for statement in asked if statement.startswith("SELECT")]
        assert not any("contracts_1.document" in statement for statement in read)
        assert sum("artefacts.bytes" in statement for statement in read) <= 2  # reference, plan
        for name, each in others.items():
            assert process.champions.of(name) is each
