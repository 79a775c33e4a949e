"""PostgreSQL stands still under a service: every route says so in time, and all of it recovers."""

from __future__ import annotations

import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.cli.command_line import environment
from tests.app.cli.served import served
from tests.app.http.routes.every_route import EVERY
from tests.app.http.routes.running import AMC, CAR_PRICE, plan_bytes, promote
from tests.patience import HANGS_SECONDS, until
from tests.soak.service import NOBODY, Service, cars, send
from tests.soak.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.conftest import StoppablePostgres

BUSY_SECONDS = 1
ROUNDS_LONG = 10
PATIENT = {"WHYLEDGER_BUSY_TIMEOUT_SECONDS": "300", "WHYLEDGER_SHUTDOWN_SECONDS": "2"}
PROMISED_SECONDS = BUSY_SECONDS + 1
# A busy machine takes its time besides; what waits twice in a row takes twice as long, and fails.
ANSWER_SECONDS_MAX = 1.75 * PROMISED_SECONDS
CLIENTS = 60  # more than the service has threads
CROWD_SECONDS_MAX = 2 * ANSWER_SECONDS_MAX  # all of them run on this machine's processors too


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
                for asked in EVERY:
                    answer = asked.send(client, timeout=ANSWER_SECONDS_MAX)
                    assert answer.status_code == 503, (asked, answer.text)
                    assert int(answer.headers["Retry-After"]) >= 1, asked
                    refused += 1
                assert client.get("/healthz").status_code == 200
                with ThreadPoolExecutor(CLIENTS) as pool:
                    path, seconds = "/models?limit=7", CROWD_SECONDS_MAX
                    crowd = [pool.submit(client.get, path, timeout=seconds) for _ in range(CLIENTS)]
                    assert {each.result().status_code for each in crowd} == {503}
            finally:
                stoppable_postgres.wake()
            until(lambda: client.get("/readyz").status_code == 200)
            answer = client.post("/predictions", json={"model": "car-price", "row": AMC})
            assert answer.status_code == 200, answer.text
            assert send(client, cars(0, 10)).status_code == 201
        assert service.process.poll() is None
    if soaking:
        assert_ends_while_the_database_hangs(settings, stoppable_postgres)
    watch = Watch(ledger)
    watch.look()
    ledger.close()
    print(f"\na database that hangs: {refused} requests answered 503, {watch.size} entries kept")  # noqa: T201


def assert_ends_while_the_database_hangs(settings: Settings, server: StoppablePostgres) -> None:
    """Told to end, with an append that would wait for as long as this test."""
    theirs = environment(settings.state_dir) | settings.as_environment() | PATIENT
    with served(theirs, stderr=subprocess.PIPE) as (process, address):
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            server.hang()
            try:
                waiting.sendall(
                    b"POST /contracts HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    b"Content-Type: application/yaml\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(CAR_PRICE), CAR_PRICE)
                )
                until(lambda: httpx2.get(f"{address}/healthz", verify=NOBODY).status_code == 200)
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=HANGS_SECONDS)
            finally:
                server.wake()
    assert process.returncode in (128 + signal.SIGTERM, -signal.SIGTERM)
