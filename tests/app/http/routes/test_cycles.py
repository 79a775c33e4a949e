"""POST /models/{model}/cycles: recorded before the answer, run in a process of its own, awaited."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.database.locks import NamedLock
from app.main import EDGE
from app.settings import Settings
from tests.app.http.layers import NameEverybody
from tests.app.http.routes.running import (
    AMC,
    CARS,
    STRICT_AND,
    adopt,
    events_of,
    predict,
    process_behind,
    running,
)
from tests.patience import HANGS_SECONDS
from tests.told import copied

pytestmark = pytest.mark.usefixtures("forked_workers")
YAML = {"Content-Type": "application/yaml"}
BOOTSTRAP = {"as_of": "1973-01-01T00:00:00Z"}


def upload_years(client: TestClient, *years: str) -> None:
    with CARS.open(newline="") as file:
        rows = list(csv.reader(file))
    text = io.StringIO()
    csv.writer(text).writerows([rows[0], *(row for row in rows[1:] if row[0] in years)])
    answer = client.post(
        "/models/car-price/datasets",
        content=text.getvalue().encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.json()["quarantined"] == 0


def start(client: TestClient, body: object = None, **headers: str) -> Any:
    return client.post(
        "/models/car-price/cycles", json=BOOTSTRAP if body is None else body, headers=headers
    )


def await_workers() -> None:
    """Wait until no worker is watched any more: the last thing one does comes after its cycle."""
    for thread in threading.enumerate():
        if thread.name.startswith("cycle "):
            thread.join(HANGS_SECONDS)
            assert not thread.is_alive()


def test_a_bootstrap_on_real_cars_promotes_and_the_answer_after_it_is_the_champions(
    settings: Settings, with_registry: Callable[[Settings], Settings]
) -> None:
    patient = settings.model_copy(update={"cycle_wait_seconds_max": int(HANGS_SECONDS)})
    with running(with_registry(patient)) as client:
        adopt(client)
        client.post("/policies", content=STRICT_AND, headers=YAML)
        upload_years(client, "1971", "1972")
        answer = start(client, Prefer=f"wait={HANGS_SECONDS:.0f}")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["outcome"], body["conclusion"]) == ("bootstrap", "promoted")
        assert body["sentence"].startswith("BOOTSTRAP")
        assert answer.headers["Preference-Applied"] == f"wait={HANGS_SECONDS:.0f}"
        assert answer.headers["Location"] == body["url"]
        assert client.get(body["url"]).json() == body
        assert predict(client, AMC)["model_version"] == "car-price/1"
        assert client.get("/models/car-price/health").json()["last_cycle"] == body["cycle"]
        earlier = start(client, {"as_of": "1972-01-01T00:00:00Z"})
        assert earlier.status_code == 422
        assert "is before the last cycle" in earlier.json()["detail"]
        await_workers()


def test_a_running_cycle_is_409_with_its_url_and_one_cut_off_is_resumed(
    bootstrapped_state: Path, tmp_path: Path
) -> None:
    settings = Settings(state_dir=copied(bootstrapped_state, tmp_path / "state"))
    with running(settings, edge=(*EDGE, NameEverybody)) as client:
        cycles = process_behind(client).cycles
        engine = process_behind(client).ledger.engine
        with NamedLock(engine, cycles.lock_directory, "car-price-2") as held:
            assert held
            first = start(client, {"as_of": "1977-01-01T00:00:00Z"})
            assert first.status_code == 202
            assert first.headers["Location"] == "/models/car-price/cycles/car-price-2"
            assert int(first.headers["Retry-After"]) >= 1
            assert first.json()["status"] == "open"
            second = start(client, {"as_of": "1977-01-01T00:00:00Z"})
            assert second.status_code == 409
            assert second.json()["cycle"] == first.headers["Location"]
            assert second.headers["Location"] == first.headers["Location"]
        entries = process_behind(client).ledger.read(-1, 5000)
        _, begun = [entry for entry in entries if entry.event.type == "cycle.started"]
        assert begun.actor == "key:ada"
        await_workers()
        assert client.get(first.headers["Location"]).json()["status"] == "ended"


@pytest.mark.parametrize(
    ("body", "saying"),
    [
        ({"as_of": "2999-01-01T00:00:00Z"}, "is after now"),
        ({"as_of": "yesterday"}, "is not a time"),
        ({"as_of": 1976}, "/as_of"),
        ({"force": {}}, "/force/reason: is missing"),
        ({"force": "because"}, "/force"),
        ({"when": "now"}, "/when: is not a known field"),
        ([], ""),
    ],
)
def test_a_wrong_request_for_a_cycle_is_refused(
    lone_service: TestClient, body: object, saying: str
) -> None:
    lone_service.post("/policies", content=STRICT_AND, headers=YAML)
    answer = start(lone_service, body)
    assert answer.status_code == 422
    assert saying in answer.json()["detail"]
    assert events_of(lone_service, "cycle.started") == []


def test_without_policy_or_data_there_is_nothing_to_decide(empty_service: TestClient) -> None:
    assert start(empty_service).status_code == 404
    adopt(empty_service)
    without_policy = start(empty_service)
    assert without_policy.status_code == 422
    assert "Adopt it first: `whyledger adopt FILE`" in without_policy.json()["detail"]
    empty_service.post("/policies", content=STRICT_AND, headers=YAML)
    without_data = empty_service.post("/models/car-price/cycles", json={})
    assert without_data.status_code == 422
    assert "no labelled row" in without_data.json()["detail"]


def test_refusals_that_wait_are_written_before_a_cycle_starts(lone_service: TestClient) -> None:
    lone_service.post("/policies", content=STRICT_AND, headers=YAML)
    for _ in range(3):
        bad = {"model": "car-price", "row": {**AMC, "hpwt": 99}}
        assert lone_service.post("/predictions", json=bad).status_code == 422
    process_behind(lone_service).cycles._before_start("car-price")
    assert [event["rows"] for event in events_of(lone_service, "observations.rows-refused")] == [
        1,
        2,
    ]
