"""The real application on a real ledger, for tests, with a champion made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import orjson
from fastapi.testclient import TestClient

from app.cause import Cause
from app.clock import new_id, now
from app.intake.documents import parse_document
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend
from app.main import EDGE, Layer, create_app
from app.process import Process
from app.settings import Settings
from domain.canonical import canonical_bytes, sha256_hex
from domain.contract.contract import contract_digest
from domain.events.envelope import event_data
from domain.events.events import CandidatePromoted
from domain.events.expansion import expanded
from tests.plausible import an
from tests.repository import REPOSITORY

CAR_PRICE = (REPOSITORY / "data" / "contracts" / "car-price.yaml").read_bytes()
STRICT_AND = (REPOSITORY / "rules" / "policies" / "strict-and.yaml").read_bytes()
CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
AMC = {
    "year": 1976,
    "car_id": 129,
    "vintage_id": "AMGREM71",
    "hpwt": 0.528997,
    "mpd": 1.888146,
    "mpg": 1.697,
    "space": 1.1502,
    "air": 0,
    "region": "US",
}


@contextmanager
def running(settings: Settings, edge: Sequence[Layer] = EDGE) -> Iterator[TestClient]:
    """The service on these settings, started and ended like the real one."""
    with TestClient(
        create_app(settings, edge), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client


def process_behind(client: TestClient) -> Process:
    process: Process = client.app.state.process  # type: ignore[attr-defined]
    return process


def adopt(client: TestClient, document: bytes = CAR_PRICE) -> None:
    answer = client.post(
        "/contracts", content=document, headers={"Content-Type": "application/yaml"}
    )
    assert answer.status_code in (200, 201), answer.text


@cache
def plan_bytes(intercept: float, document: bytes = CAR_PRICE) -> bytes:
    """A serving plan for car-price by hand: 0.5 * hpwt, and 1 for a car from the US."""
    scaled = {"kind": "standardise", "mean": 0.0, "scale": 1.0}
    numbers = [
        {"type": "number", "name": name, "missing": "refused", "steps": [scaled]}
        for name in ("hpwt", "mpd", "mpg", "space")
    ]
    return canonical_bytes(
        {
            "format": "whyledger.plan/1",
            "model": "car-price",
            "contract_digest": contract_digest(parse_document(document, name="the contract")),
            "target": {"name": "price", "unit": "thousand 1983 USD", "transform": "log"},
            "features": [
                *numbers,
                {"type": "category", "name": "air", "categories": [0, 1]},
                {"type": "category", "name": "region", "categories": ["US", "EU"]},
            ],
            "estimator": {
                "kind": "ridge",
                "intercept": intercept,
                "coefficients": [0.5, 0, 0, 0, 0, 0, 1, 0],
            },
        }
    )


def promote(ledger: Ledger, number: int, content: bytes) -> str:
    """Append the promotion of car-price/<number>, whose plan is `content`; its digest."""
    sha256 = sha256_hex(content)
    stream = "model-car-price"
    history = ledger.read_stream(stream)
    event = an(
        CandidatePromoted,
        model="car-price",
        model_version=f"car-price/{number}",
        replaced=None if number == 1 else f"car-price/{number - 1}",
        plan_sha256=sha256,
        reference_sha256=sha256_hex(b"{}"),
        cycle=f"car-price-{number}",
        as_of="1976-01-01T00:00:00.000000Z",
        trained_until="1975-07-01T00:00:00.000001Z",
    )
    ledger.append(
        [
            StreamAppend(
                stream, (NewEvent(event=event, id=new_id(), occurred_at=now()),), history.version
            )
        ],
        Cause.unauthenticated(new_id()),
        artefacts=[
            Artefact(sha256, "plan", content),
            Artefact(sha256_hex(b"{}"), "reference", b"{}"),
        ],
    )
    return sha256


def serve_champion(client: TestClient, number: int = 1, intercept: float = 0.25) -> str:
    """Promote a champion and let the service take it up at once; the plan's digest."""
    process = process_behind(client)
    sha256 = promote(process.ledger, number, plan_bytes(intercept))
    process.champions.refresh()
    return sha256


def predict(client: TestClient, *rows: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = client.post(
        "/predictions", json={"model": "car-price", "rows": list(rows)}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def outcome(id: str, label: object, **data: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/tests",
        "type": "org.whyledger.outcome.v1",
        "data": {"model": "car-price", "label": label, **data},
    }


def observation(id: str, **row: object) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id,
        "source": "/tests",
        "type": "org.whyledger.observation.v1",
        "data": {"model": "car-price", "row": {**AMC, "price": 4.935802, **row}},
    }


def send(client: TestClient, event: object, content_type: str | None = None) -> Any:
    kind = content_type or (CLOUDEVENTS if isinstance(event, list) else CLOUDEVENT)
    return client.post("/events", content=orjson.dumps(event), headers={"Content-Type": kind})


def pages(client: TestClient, url: str) -> list[Any]:
    """The list at `url`, page by page, as its links lead on."""
    found = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        url = answer.links.get("next", {}).get("url", "")
    return found


def events_of(client: TestClient, kind: str) -> list[dict[str, Any]]:
    """The data of every recorded event of this type, in order."""
    entries = expanded(process_behind(client).ledger.read(-1, 5000))
    return [event_data(entry.event) for entry in entries if entry.event.type == kind]
