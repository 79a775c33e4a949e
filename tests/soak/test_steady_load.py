"""Steady mixed load for hours: memory, disk and p99 of each, as a table."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.projections.opening import open_ledger
from app.settings import Settings
from tests.app.http.routes.running import AMC, plan_bytes, promote
from tests.patience import until
from tests.soak.service import Service, cars, send
from tests.soak.tables import Show
from tests.soak.test_disk import assert_nothing_lost

SECONDS_SHORT = 1.0
HOURS_LONG = 0.05  # unless --hours says more
PARTS = 10  # of the whole, a line each, when it is shorter than as many hours
PAUSE_SECONDS = 0.02  # between what one client asks
HEAD = "| hours | requests | p50, ms | p99, ms | memory, MB | threads | disk, MB | entries |"


class Load:
    """Clients that go on asking; what each request took."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.over = threading.Event()
        self.taken: list[float] = []  # seconds, since the last line
        self.acknowledged: dict[str, int] = {}

    def predict(self) -> None:
        body = {"model": "car-price", "row": AMC}
        with self._service.client() as client:
            while not self.over.wait(PAUSE_SECONDS):
                began = time.monotonic()
                answer = client.post("/predictions", json=body)
                self.taken.append(time.monotonic() - began)
                assert answer.status_code == 200, answer.text
                for one in answer.json()["predictions"]:
                    self.acknowledged[one["prediction_id"]] = one["position"]

    def observe(self) -> None:
        number = 0
        with self._service.client() as client:
            while not self.over.wait(PAUSE_SECONDS * 5):
                began = time.monotonic()
                answer = send(client, cars(number, 5))
                self.taken.append(time.monotonic() - began)
                number += 5
                assert answer.status_code == 201, answer.text
                for one in answer.json()["recorded"]:
                    self.acknowledged[one["id"]] = one["position"]

    def read(self) -> None:
        paths = (
            "/models",
            "/models/car-price",
            "/events?limit=100",
            "/readyz",
            "/",
            "/audit/changes",
        )
        number = 0
        with self._service.client() as client:
            while not self.over.wait(PAUSE_SECONDS * 10):
                began = time.monotonic()
                answer = client.get(paths[number % len(paths)])
                self.taken.append(time.monotonic() - began)
                number += 1
                assert answer.status_code == 200, answer.text


def line(hours: float, service: Service, load: Load, folder: Path) -> str:
    """What was taken since the last line, and what is kept by now."""
    taken, load.taken = load.taken, []
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    said = dict(one.split(":\t", 1) for one in status.splitlines() if ":\t" in one)
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024**2
    return (
        f"| {hours:.3f} | {len(taken)} | {cuts[49] * 1e3:.1f} | {cuts[98] * 1e3:.1f} "
        f"| {int(said['VmRSS'].split()[0]) / 1024:.0f} | {said['Threads'].strip()} | {disk:.1f} "
        f"| {len(load.acknowledged)} |"
    )


@pytest.fixture
def seconds(request: pytest.FixtureRequest, soaking: bool) -> float:
    """How long it lasts."""
    hours: float | None = request.config.getoption("--hours", default=None)
    return (hours or HOURS_LONG) * 3600 if hours or soaking else SECONDS_SHORT


def test_a_steady_mixed_load_is_answered_and_nothing_of_it_is_lost(
    sqlite_settings: Settings, seconds: float, show: Show
) -> None:
    folder = Path(sqlite_settings.ledger_url.removeprefix("sqlite:///")).parent
    with Service(sqlite_settings) as service, service.client() as client:
        service.adopt()
        ledger = open_ledger(sqlite_settings)
        promote(ledger, 1, plan_bytes(0.25))
        ledger.close()
        until(lambda: client.get("/models/car-price").json()["answers"] is not None)
        load = Load(service)
        part = min(3600.0, seconds / PARTS)
        lines = [HEAD, "| --: " * 8 + "|"]
        with ThreadPoolExecutor(3) as pool:
            try:
                asking = [pool.submit(one) for one in (load.predict, load.observe, load.read)]
                began = time.monotonic()
                number = 0
                while time.monotonic() < began + seconds and not any(x.done() for x in asking):
                    number += 1
                    time.sleep(max(0.0, began + number * part - time.monotonic()))
                    until(lambda: len(load.taken) > 1)
                    lines.append(line(number * part / 3600, service, load, folder))
                    print(lines[-1], flush=True)  # noqa: T201 how far it is
            finally:
                load.over.set()
            for one in asking:
                one.result()
        assert service.process.poll() is None
        show("hours", "\n".join(lines))
    assert_nothing_lost(sqlite_settings, load.acknowledged)
