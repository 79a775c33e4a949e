"""The real process: it gets ready, loads nothing of training, and is described whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import jsonschema
import pytest
from fastapi.testclient import TestClient

from app.http.problems import PROBLEMS
from app.main import create_app
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.http.routes.running import AMC, CAR_PRICE, plan_bytes, promote
from tests.patience import until
from tests.repository import REPOSITORY

HEAVY = ("sklearn", "pandas", "pyarrow", "mlflow", "dvc", "joblib", "scipy", "durable")
PROGRAM = """
import sys, uvicorn
from app.main import create_app
from app.settings import Settings

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print("listening", port, flush=True)

    async def shutdown(self, sockets=None):
        await super().shutdown(sockets)
        print("ended", *sorted(set(sys.modules) & set(sys.argv[1:])), flush=True)

Server(uvicorn.Config(create_app(Settings()), port=0, log_level="warning")).run()
"""


@contextmanager
def served(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The service in a process of its own, and its address."""
    environment = {**os.environ, **settings.as_environment()}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *HEAVY],
        env=environment,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        word, port = process.stdout.readline().split()
        assert word == "listening"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_process_gets_ready_and_stays_free_of_training_libraries(
    sqlite_settings: Settings,
) -> None:
    with served(sqlite_settings) as (process, address), httpx2.Client(base_url=address) as client:
        assert client.get("/readyz").status_code == 200
        adopted = client.post(
            "/contracts", content=CAR_PRICE, headers={"Content-Type": "application/yaml"}
        )
        assert adopted.status_code == 201
        ledger = open_ledger(sqlite_settings)
        promote(ledger, 1, plan_bytes(0.25))
        ledger.close()
        until(lambda: client.get("/models/car-price").json()["answers"] is not None)
        rows = [{**AMC, "car_id": number} for number in range(1000)]
        for _ in range(3):
            answer = client.post("/predictions", json={"model": "car-price", "rows": rows})
            assert answer.status_code == 200
        for path in ("/", "/models", "/events?limit=500", "/audit/decisions", "/openapi.json"):
            assert client.get(path).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        last = process.stdout.read().split()
        assert last == ["ended"]


def test_acknowledged_predictions_survive_kill_nine(sqlite_settings: Settings) -> None:
    with served(sqlite_settings) as (process, address), httpx2.Client(base_url=address) as client:
        client.post("/contracts", content=CAR_PRICE, headers={"Content-Type": "application/yaml"})
        ledger = open_ledger(sqlite_settings)
        promote(ledger, 1, plan_bytes(0.25))
        until(lambda: client.get("/models/car-price").json()["answers"] is not None)
        acknowledged = []
        for number in range(50):
            answer = client.post(
                "/predictions", json={"model": "car-price", "row": {**AMC, "car_id": number}}
            )
            acknowledged += [made["position"] for made in answer.json()["predictions"]]
        process.kill()
        process.wait()
        entries = ledger.read(-1, 5000)
        ledger.close()
        assert [entry.position for entry in entries] == list(range(len(entries)))
        assert set(acknowledged) <= {entry.position for entry in entries}
    with TestClient(create_app(sqlite_settings), base_url="http://127.0.0.1") as again:
        assert again.get("/models/car-price").json()["answers"] == "car-price/1"


def test_a_host_that_is_not_loopback_refuses_the_start() -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        Settings(host="0.0.0.0")  # noqa: S104 this is what must be refused


ROUTES = {
    ("get", "/"),
    ("post", "/predictions"),
    ("post", "/events"),
    ("get", "/events"),
    ("post", "/contracts"),
    ("post", "/policies"),
    ("post", "/models/{model}/datasets"),
    ("get", "/models/{model}/datasets/{sha256}"),
    ("post", "/models/{model}/cycles"),
    ("get", "/models/{model}/cycles"),
    ("get", "/models/{model}/cycles/{cycle}"),
    ("post", "/models/{model}/rollbacks"),
    ("get", "/models"),
    ("get", "/models/{model}"),
    ("get", "/models/{model}/health"),
    ("get", "/audit/changes"),
    ("get", "/audit/decisions"),
    ("get", "/audit/decisions/{decision}"),
    ("get", "/audit/export"),
    ("get", "/ledger/checkpoint"),
    ("get", "/ledger/signing"),
    ("get", "/ledger/proofs/inclusion"),
    ("get", "/ledger/proofs/consistency"),
    ("get", "/ledger/tiles/{level}/{index}"),
    ("get", "/ledger/events/{position}"),
    ("get", "/ledger/events/{position}/rows"),
    ("get", "/ledger/events/{position}/rows/{row}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
}


def test_openapi_describes_every_route_with_examples_and_problems(
    empty_service: TestClient,
) -> None:
    document = empty_service.get("/openapi.json").json()
    described = {
        (method, path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == ROUTES
    schemas = document["components"]["schemas"]
    resolver = {"components": {"schemas": schemas}}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            if method == "post":
                for content in operation["requestBody"]["content"].values():
                    assert content["examples"], path
                    if "string" in str(content["schema"].get("type")):
                        continue
                    for example in content["examples"].values():
                        jsonschema.validate(example["value"], {**content["schema"], **resolver})
                assert {"413", "422", "503"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert "application/problem+json" in answer["content"], (path, status)
    for name in ("PredictionsAnswer", "CycleAnswer", "HealthAnswer", "ModelAnswer"):
        for field in schemas[name]["properties"].values():
            assert "examples" in field or "$ref" in json.dumps(field) or "description" in field


def test_the_api_document_names_every_route_and_every_problem() -> None:
    text = (REPOSITORY / "docs" / "api.md").read_text()
    for method, path in ROUTES:
        assert f"`{method.upper()} {path}`" in text, path
    for code in PROBLEMS:
        assert f"`{code}`" in text, code
