"""PostgreSQL stands still under a service: every route says so in time, and all of it recovers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.http.routes.running import AMC, CAR_PRICE, STRICT_AND, plan_bytes, promote
from tests.patience import until
from tests.soak.service import Service, cars, send
from tests.soak.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.conftest import StoppablePostgres

BUSY_SECONDS = 1
ROUNDS_LONG = 10
CLIENTS = 60  # more than the service has threads
YAML = {"Content-Type": "application/yaml"}
CSV = {"Content-Type": "text/csv"}
ROW = ",".join([*AMC, "price"]) + "\n" + ",".join(str(v) for v in [*AMC.values(), 4.9]) + "\n"
READ = (
    "/",
    "/models",
    "/models/car-price/cycles",
    "/models/car-price/cycles/car-price-1",
    "/models/car-price/health",
    "/audit/decisions",
    "/audit/changes",
    "/audit/export?format=jsonl",
    "/events",
    "/ledger/checkpoint?new=true",
    "/ledger/proofs/inclusion?position=0&size=1",
    "/ledger/proofs/consistency?from=1&to=2",
    "/ledger/tiles/0/0",
    "/ledger/events/0",
    "/readyz",
)


def everything(client: httpx2.Client) -> dict[str, httpx2.Response]:
    """The answer of every route that asks the database."""
    answers = {path: client.get(path) for path in READ}
    answers["predict"] = client.post("/predictions", json={"model": "car-price", "row": AMC})
    answers["observe"] = send(client, cars(0, 10))
    answers["adopt"] = client.post("/contracts", content=CAR_PRICE, headers=YAML)
    answers["policy"] = client.post("/policies", content=STRICT_AND, headers=YAML)
    answers["upload"] = client.post("/models/car-price/datasets", content=ROW, headers=CSV)
    answers["cycle"] = client.post("/models/car-price/cycles", json={})
    back = {"to": "car-price/1", "reason": "complaints"}
    answers["roll back"] = client.post("/models/car-price/rollbacks", json=back)
    return answers


def test_a_database_that_hangs_is_answered_for_in_time_on_every_route(
    stoppable_postgres: StoppablePostgres, tmp_path: Path, soaking: bool
) -> None:
    settings = Settings(
        database_url=stoppable_postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=BUSY_SECONDS,
    )
    refused = 0
    with Service(settings) as service, service.client() as client:
        service.adopt()
        ledger = open_ledger(settings)
        promote(ledger, 1, plan_bytes(0.25))
        until(lambda: client.get("/models/car-price").json()["answers"] is not None)
        for _ in range(ROUNDS_LONG if soaking else 1):
            stoppable_postgres.hang()
            try:
                for path, answer in everything(client).items():
                    assert answer.status_code == 503, (path, answer.text)
                    assert int(answer.headers["Retry-After"]) >= 1, path
                    refused += 1
                assert client.get("/healthz").status_code == 200
                with ThreadPoolExecutor(CLIENTS) as pool:
                    crowd = [pool.submit(client.get, "/models?limit=7") for _ in range(CLIENTS)]
                    assert {each.result().status_code for each in crowd} == {503}
            finally:
                stoppable_postgres.wake()
            until(lambda: client.get("/readyz").status_code == 200)
            answer = client.post("/predictions", json={"model": "car-price", "row": AMC})
            assert answer.status_code == 200, answer.text
            assert send(client, cars(0, 10)).status_code == 201
        assert service.process.poll() is None
    watch = Watch(ledger)
    watch.look()
    ledger.close()
    print(f"\na database that hangs: {refused} requests answered 503, {watch.size} entries kept")  # noqa: T201
