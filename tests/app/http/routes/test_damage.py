"""Edited bytes are damage at every door, an alarm, and the end of deciding until it is settled."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli.main import app
from app.ledger.store import Ledger
from app.settings import Settings
from tests.app.http.routes.running import process_behind
from tests.app.planting import plant, plant_unhashed
from tests.app.proof.forger import change, edited
from tests.ledger_events import put, refused
from tests.patience import until

EDITED = 5
DOORS = (
    f"/ledger/events/{EDITED}",
    f"/ledger/events/{EDITED}?receipt=true",
    f"/ledger/proofs/inclusion?position={EDITED}",
)


@pytest.fixture
def damaged(service: TestClient) -> TestClient:
    """A service in whose ledger somebody edited an entry's bytes, and nothing else."""
    ledger = process_behind(service).ledger
    put(ledger, "observations-car-price", *[refused(n + 1, "car-price") for n in range(6)])
    ledger.rows.catch_up()  # or who folds them in the background may meet it before anybody asks
    (content,) = ledger.stored_bytes(EDITED, EDITED)
    change(
        ledger,
        f"UPDATE entries SET bytes = :content WHERE position = {EDITED}",
        content=edited(content, rows=99),
    )
    return service


@pytest.mark.parametrize("door", DOORS)
def test_every_door_answers_damage_with_503_and_the_entry(damaged: TestClient, door: str) -> None:
    answer = damaged.get(door)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:whyledger:problem:ledger-damaged"
    assert answer.json()["detail"].startswith(f"ledger entry {EDITED}: the stored bytes hash to")


def test_what_was_met_is_an_alarm_on_every_screen_and_stops_deciding(
    damaged: TestClient, settings: Settings
) -> None:
    assert "damage" not in damaged.get("/readyz").json()["alarms"]
    damaged.get(DOORS[0])
    said = damaged.get("/readyz").json()["alarms"]["damage"]
    assert said.startswith(f"ledger entry {EDITED}: the stored bytes hash to")
    assert '<p class="notice alarm" role="alert"><strong>Alarm</strong> ledger entry 5:' in (
        damaged.get("/").text
    )
    for answer in (
        damaged.get("/ledger/checkpoint?new=true"),
        damaged.post("/models/car-price/cycles", json={}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (
            503,
            "urn:whyledger:problem:ledger-damaged",
        )
        assert "Nothing is promoted and nothing is signed until" in answer.json()["detail"]


def test_an_operator_goes_on_with_a_reason_that_is_an_event(
    damaged: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged.get(DOORS[0])
    ledger = process_behind(damaged).ledger
    until(lambda: not ledger.met.all())
    for name, value in settings.as_environment().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["settle", "--reason", "a copy shows what it said"])
    assert done.exit_code == 0, done.output
    assert "accepted: ledger entry 5:" in done.output
    assert damaged.get("/ledger/checkpoint?new=true").status_code == 200
    assert damaged.get(DOORS[0]).status_code == 503
    alarms = damaged.get("/readyz").json()["alarms"]
    until(lambda: "accepted" in damaged.get("/readyz").json()["alarms"]["damage"])
    assert f"ledger entry {EDITED}:" in alarms["damage"]


STREAM = "observations-car-price"


def plant_no_json(ledger: Ledger) -> int:
    with ledger.engine.begin() as connection:
        return plant(connection, b"no JSON", stream=STREAM, type="observations.rows-refused")


def plant_another_hash(ledger: Ledger) -> int:
    return plant_unhashed(ledger, refused(7, "car-price"), stream=STREAM)


@pytest.mark.parametrize(
    ("planting", "why", "said"),
    [
        (
            plant_no_json,
            "bytes that are no JSON",
            "position {}: the entry: expected one that can be read; found bytes that are no",
        ),
        (
            plant_another_hash,
            "ledger entry {}: the stored bytes hash to",
            "ledger entry {}: the stored bytes hash to",
        ),
    ],
)
def test_over_an_entry_that_nobody_can_read_all_goes_on_but_deciding(
    service: TestClient, planting: Callable[[Ledger], int], why: str, said: str
) -> None:
    ledger = process_behind(service).ledger
    position = planting(ledger)
    put(ledger, "observations-car-price", refused(1, "car-price"))
    listed = service.get("/events", params={"cursor": position - 1}).json()
    assert str(listed[0]["unreadable"]).startswith(why.format(position))
    assert "unreadable" not in listed[1]
    assert service.get(f"/ledger/events/{position}").status_code == 503
    assert service.get(f"/ledger/events/{position + 1}").status_code == 200
    assert service.get("/models").status_code == 200
    said = said.format(position)
    assert service.get("/readyz").json()["alarms"]["damage"].startswith(said)
    assert said in service.get("/").text
    answer = service.post("/models/car-price/cycles", json={})
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:whyledger:problem:ledger-damaged",
    )
