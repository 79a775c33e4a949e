"""A read model that somebody changed is folded anew by itself, is said, and shuts no door."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from app.database.engine import READ_MODELS_SCHEMA
from app.projections.labels import LABELS
from app.projections.models import MODELS
from app.projections.positions import POSITIONS
from app.settings import Settings
from tests.app.behind_the_service import writing_to
from tests.app.http.routes.running import observation, process_behind, running, send
from tests.patience import until

UNFIT = "urn:whyledger:problem:read-model-unfit"
WRONG = {
    "no JSON": "UPDATE {models} SET contract = 'garbage'",
    "JSON of another kind": "UPDATE {models} SET contract = '[1]'",
    "a number without bounds": "UPDATE {models} SET contract_position = 9223372036854775807",
}


def spoil(client: TestClient, statement: str) -> None:
    """Change read models as the application's role may."""
    engine = process_behind(client).ledger.engine
    schema = "" if engine.dialect.name == "sqlite" else f"{READ_MODELS_SCHEMA}."
    tables = {
        each.name.split("_")[0]: f"{schema}{each.name}" for each in (MODELS, LABELS, POSITIONS)
    }
    ledger = process_behind(client).ledger
    with writing_to(ledger, LABELS) if "{labels}" in statement else engine.begin() as connection:
        connection.execute(text(statement.format(**tables)))


@pytest.mark.parametrize("statement", WRONG.values(), ids=WRONG)
def test_it_is_answered_as_such_folded_anew_and_an_alarm(
    service: TestClient, statement: str
) -> None:
    right = service.get("/models/car-price").json()
    spoil(service, statement)
    answer = service.get("/models/car-price")
    assert (answer.status_code, answer.json()["type"]) == (503, UNFIT)
    assert "Retry-After" in answer.headers
    assert "read-models" in service.get("/readyz").json()["alarms"]

    until(lambda: service.get("/models/car-price").status_code == 200)
    assert service.get("/models/car-price").json() == right
    said = f"somebody changed {MODELS.name} behind the service"
    until(lambda: said in service.get("/readyz").json()["alarms"]["read-models"])


def test_a_row_in_the_way_of_a_new_one_keeps_nobody_from_writing(service: TestClient) -> None:
    ledger = process_behind(service).ledger
    assert send(service, observation("1")).status_code == 201
    spoil(service, f"UPDATE {{labels}} SET place = {ledger.size() << 16} WHERE place = {3 << 16}")
    assert send(service, observation("2", car_id=130)).status_code == 201


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO {read} VALUES ('x y z', 'garbage')", "INSERT INTO {read} VALUES (x'00ff', 7)"],
)
def test_a_position_that_is_none_stops_nothing(lone_service: TestClient, statement: str) -> None:
    spoil(lone_service, statement)
    process = process_behind(lone_service)
    process.ledger.fold_anew()
    with process.ledger.writing() as connection:
        process.ledger.project.drop_others(connection)
    assert lone_service.get("/models/car-price").status_code == 200


def test_a_service_starts_over_it(settings: Settings, service: TestClient) -> None:
    spoil(service, WRONG["no JSON"])
    with running(settings) as other:
        until(lambda: other.get("/models/car-price").status_code == 200)
