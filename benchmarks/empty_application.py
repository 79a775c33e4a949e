"""What the service costs over an empty FastAPI application: its start, its memory, judging a row.

Both are started in turn, each three times, by the same interpreter; the medians are compared.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from benchmarks.cars import MODEL, Fitted, fitted
from benchmarks.databases import scratch
from benchmarks.report import Figure, per_second, report
from benchmarks.servers import echo, service
from benchmarks.serving import let_serve
from domain.contract.rows import RowGuard

TIMES: Final = 3
REQUESTS: Final = 3
ROWS: Final = 1_000
PAGES: Final = ("/", "/models", "/events?limit=500", "/audit/decisions", "/openapi.json")
# At most so many times what the empty application takes.
READY_AT_MOST: Final = 4.0
RESIDENT_AT_MOST: Final = 2.5
ROW_AT_MOST: Final = 0.05  # of one of its requests


def main() -> None:
    """Measure both and print the report."""
    model = fitted()
    with scratch() as directory:
        empty = [
            _started(echo("fastapi", directory), directory / "fastapi.pid") for _ in range(TIMES)
        ]
        new, again = [], []
        for number in range(TIMES):
            state = directory / f"state-{number}"
            state.mkdir()
            new.append(_started(service(state), state / "service.pid"))
            again.append(_started(service(state), state / "service.pid"))
        with echo("fastapi", directory) as port:
            request_us = 1e6 / per_second(_asking(port, model), seconds=2)
            busy_mb = _resident_mb(directory / "fastapi.pid")
        with service(directory / "state-0") as port:
            let_serve(port, directory / "state-0", model)
            _work(port, model)
            our_busy_mb = _resident_mb(directory / "state-0" / "service.pid")
    guard, row = RowGuard(model.contract), model.rows[0]
    row_us = 1e6 / per_second(lambda: guard.check_row(row, labelled=False))
    ready, resident = (median(values) for values in zip(*empty, strict=True))
    figures = []
    for words, starts in (("a new database", new), ("a database there is", again)):
        ours, ours_mb = (median(values) for values in zip(*starts, strict=True))
        figures.append(_line(f"ready on {words}, s", ours, ready, READY_AT_MOST))
        figures.append(_line(f"resident on {words}, MB", ours_mb, resident, RESIDENT_AT_MOST))
    figures.append(_line("resident after work, MB", our_busy_mb, busy_mb, RESIDENT_AT_MOST))
    figures.append(_line("a row checked, of a request, µs", row_us, request_us, ROW_AT_MOST))
    report("The service against an empty FastAPI application", figures)


def _started(server: AbstractContextManager[int], pid: Path) -> tuple[float, float]:
    """Seconds until it answers, and the memory it then holds, in MB."""
    begun = time.perf_counter()
    with server:
        return time.perf_counter() - begun, _resident_mb(pid)


def _resident_mb(pid: Path) -> float:
    said = subprocess.run(
        ["ps", "-o", "rss=", "-p", pid.read_text()], capture_output=True, text=True, check=True
    )
    return int(said.stdout) / 1024


def _asking(port: int, model: Fitted) -> Callable[[], object]:
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}")
    body = {"model": MODEL, "row": model.rows[0]}
    return lambda: client.post("/predictions", json=body).raise_for_status()


def _work(port: int, model: Fitted) -> None:
    """Batches of predictions, and every page."""
    rows = (model.rows * (ROWS // len(model.rows) + 1))[:ROWS]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for _ in range(REQUESTS):
            client.post("/predictions", json={"model": MODEL, "rows": rows}).raise_for_status()
        for path in PAGES:
            client.get(path).raise_for_status()


def _line(what: str, ours: float, empty: float, at_most: float) -> Figure:
    return {
        "what": what,
        "ours": ours,
        "empty": empty,
        "times": ours / empty,
        "at most": at_most,
        "met": "yes" if ours <= at_most * empty else "no",
    }


if __name__ == "__main__":
    main()
