"""Latency of durable predictions while a retraining cycle runs beside, against the same when idle.

The worker is a process of its own at nice 10; what it costs serving is the ratio of the two p99s.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import httpx

from benchmarks.cars import DATA, MODEL
from benchmarks.databases import scratch
from benchmarks.load_generator import Load, load
from benchmarks.report import Figure, report
from benchmarks.servers import ROOT, service

CONNECTIONS = 4
SECONDS = 3.0
CYCLE_SECONDS_MAX = 120
YAML = {"Content-Type": "application/yaml"}


def main() -> None:
    """Bootstrap a model through the service, then load it idle and during a forced cycle."""
    with scratch() as directory:
        with (
            service(directory) as port,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=CYCLE_SECONDS_MAX) as client,
        ):
            bodies = prepare(client)
            idle = ask(port, bodies)
            during: list[Load] = []
            ended = threading.Event()

            def cycle() -> None:
                try:
                    run_cycle(client, "1978-01-01T00:00:00Z")
                finally:
                    ended.set()

            training = threading.Thread(target=cycle)
            training.start()
            while not ended.is_set():
                during.append(ask(port, bodies, seconds=1.0))
            training.join()
            whole = during[:-1] or during  # the last second saw the cycle's end
    figures: list[Figure] = [line("idle", idle, idle)]
    figures += [
        line(f"training, second {second}", each, idle) for second, each in enumerate(whole, 1)
    ]
    report(
        f"Predictions at {CONNECTIONS} connections while a cycle trains "
        f"(load average {os.getloadavg()[0]:.1f} at the end)",
        figures,
    )


def prepare(client: httpx.Client) -> list[object]:
    """Contract, policy, shipped data and a champion; the bodies to ask with."""
    policy = (ROOT / "rules" / "policies" / "strict-and.yaml").read_bytes()
    client.post("/policies", content=policy, headers=YAML).raise_for_status()
    contract = (DATA / "contracts" / f"{MODEL}.yaml").read_bytes()
    client.post("/contracts", content=contract, headers=YAML).raise_for_status()
    cars = Path(DATA / "us_cars_1971_1990.csv").read_bytes()
    sent = client.post(
        f"/models/{MODEL}/datasets", content=cars, headers={"Content-Type": "text/csv"}
    )
    sent.raise_for_status()
    run_cycle(client, "1976-01-01T00:00:00Z")
    row = {"year": 1977, "car_id": 1, "vintage_id": "AMGREM71", "hpwt": 0.53, "mpd": 1.89}
    row |= {"mpg": 1.7, "space": 1.15, "air": 0, "region": "US", "price": 4.94}
    return [{"model": MODEL, "row": {**row, "car_id": number}} for number in range(500)]


def run_cycle(client: httpx.Client, as_of: str) -> None:
    """Run a forced cycle to its end."""
    body = {"as_of": as_of, "force": {"reason": "the benchmark"}}
    path = f"/models/{MODEL}/cycles"
    answer = client.post(path, json=body, headers={"Prefer": "wait=60"})
    answer.raise_for_status()
    if answer.json()["status"] != "ended":
        raise RuntimeError(f"the cycle did not end: {answer.text[:500]}")


def ask(port: int, bodies: list[object], seconds: float = SECONDS) -> Load:
    """One measurement."""
    return load(port, "/predictions", bodies, connections=CONNECTIONS, seconds=seconds)


def line(when: str, seen: Load, idle: Load) -> Figure:
    """One line of the report."""
    return {
        "when": when,
        "predictions/s": seen.per_second,
        "p50 ms": seen.p50_ms,
        "p99 ms": seen.p99_ms,
        "p99 of idle": seen.p99_ms / idle.p99_ms,
    }


if __name__ == "__main__":
    main()
