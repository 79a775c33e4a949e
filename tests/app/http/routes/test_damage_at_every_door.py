"""Whatever is edited in the database, no route hands it out, and none breaks over it.

Every route of the document is asked, on a ledger with everything in it, after somebody edited all
entries, all data that stands apart, all artefacts, or a tile of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from domain.canonical import canonical_bytes
from tests.app.damaged import CONTRACT, CSV, EDITS, FORGED, OWNED, POLICY, everything
from tests.app.http.routes.running import CLOUDEVENT, observation, process_behind, running
from tests.app.web.car_story import MODEL
from tests.told import ToldOnce, retold

JSON: Final = "application/json"
KINDS: Final = {"/models/{model}/datasets": "text/csv", "/events": CLOUDEVENT}
# In this order: a cycle would start where nothing was met yet.
ASKED: Final[dict[tuple[str, str], tuple[str, bytes]]] = {
    ("GET", "/events"): ("?limit=500", b""),
    ("GET", "/ledger/events/{position}"): ("", b""),
    ("GET", "/ledger/events/{position}/rows"): ("", b""),
    ("GET", "/ledger/events/{position}/rows/{row}"): ("", b""),
    ("GET", "/ledger/proofs/inclusion"): ("?position=57&size=290", b""),
    ("GET", "/ledger/proofs/consistency"): ("?from=10&to=280", b""),
    ("GET", "/ledger/tiles/{level}/{index}"): ("", b""),
    ("GET", "/models/{model}/datasets/{sha256}"): ("", b""),
    ("GET", "/models/{model}/cycles"): ("", b""),
    ("GET", "/models/{model}/cycles/{cycle}"): ("", b""),
    ("GET", "/models"): ("", b""),
    ("GET", "/models/{model}"): ("", b""),
    ("GET", "/models/{model}/health"): ("", b""),
    ("GET", "/audit/changes"): ("", b""),
    ("GET", "/audit/decisions"): ("", b""),
    ("GET", "/audit/decisions/{decision}"): ("", b""),
    ("GET", "/audit/export"): ("?format=html", b""),
    ("GET", "/"): (f"?model={MODEL}", b""),
    ("GET", "/healthz"): ("", b""),
    ("GET", "/ledger/signing"): ("", b""),
    ("POST", "/contracts"): ("", CONTRACT),
    ("POST", "/policies"): ("", canonical_bytes(POLICY)),
    ("POST", "/models/{model}/rollbacks"): ("", b'{"to": "car-price/4", "reason": "complaints"}'),
    ("POST", "/models/{model}/datasets"): ("", CSV.replace(",4,", ",5,").encode()),
    ("POST", "/predictions"): ("", canonical_bytes({"model": MODEL, "row": OWNED})),
    ("POST", "/events"): ("", orjson.dumps(observation("2", owner="Bob", car_id=9))),
    ("POST", "/models/{model}/cycles"): ("", b"{}"),
    ("GET", "/ledger/checkpoint"): ("?new=true", b""),
    ("GET", "/readyz"): ("", b""),
}
ROWS: Final = {
    "GET /ledger/events/{position}/rows",
    "GET /ledger/events/{position}/rows/{row}",
}
STOPPED: Final = {"POST /models/{model}/cycles", "GET /ledger/checkpoint"}  # by any damage
DAMAGED: Final = {
    "entries": STOPPED
    | ROWS
    | {
        "GET /ledger/events/{position}",
        "GET /ledger/proofs/inclusion",
        "GET /models/{model}/datasets/{sha256}",
        "GET /audit/export",
        "GET /",
        "POST /contracts",
        "POST /policies",
        "POST /models/{model}/rollbacks",
        "POST /events",  # the first entry, too: whose ledger it is nobody knows
    },
    "payloads": STOPPED | ROWS,  # each entry's place is told, and why nobody can read it
    "artefacts": STOPPED | {"POST /models/{model}/rollbacks"},
    "tiles": STOPPED
    | ROWS
    | {
        "GET /ledger/events/{position}",
        "GET /ledger/proofs/inclusion",
        "GET /ledger/proofs/consistency",
        "GET /ledger/tiles/{level}/{index}",
    },
}


@pytest.fixture
def named(told_once: ToldOnce, settings: Settings) -> dict[str, str]:
    found: dict[str, str] = told_once(everything, settings).gives
    return found


@pytest.fixture
def client(told_once: ToldOnce, settings: Settings) -> Iterator[TestClient]:
    with running(retold(told_once(everything, settings), settings)) as client:
        yield client


@pytest.mark.parametrize("edit", EDITS)
def test_every_route_answers_damage_or_what_does_not_rest_on_it(
    client: TestClient, named: dict[str, str], edit: str
) -> None:
    EDITS[edit](process_behind(client).ledger)
    declared = client.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path in declared for method in declared[path]} == set(ASKED)
    damaged = set()
    for (method, path), (query, body) in ASKED.items():
        answer = client.request(
            method,
            path.format_map({**named, "level": 0, "index": 0, "row": 1}) + query,
            content=body,
            headers={"Content-Type": KINDS.get(path, JSON)} if method == "POST" else {},
        )
        if is_damage(answer):
            damaged.add(f"{method} {path}")
        else:
            assert answer.status_code in (200, 201), (method, path, answer.text)
            assert FORGED not in answer.text, (method, path)
    assert damaged == DAMAGED[edit]
    assert "damage" in client.get("/readyz").json()["alarms"]


def is_damage(answer: Any) -> bool:
    return bool(answer.status_code == 503 and answer.json()["type"].endswith(":ledger-damaged"))
