"""Durable predictions over HTTP against echoes that do nothing and `mlflow models serve`.

Every one of our predictions is committed before its answer; the echoes and MLflow keep nothing.
Single rows at 1, 16 and 64 connections, and batches of 1,000 rows at one and four.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import httpx

from app.projections.opening import open_ledger
from app.settings import Settings
from benchmarks.cars import MODEL, Fitted, fitted, promote
from benchmarks.databases import scratch
from benchmarks.load_generator import Load, load
from benchmarks.report import Figure, fdatasync_per_second, report
from benchmarks.servers import echo, mlflow_model, service

SECONDS = 4.0
CONNECTIONS = (1, 16, 64)
BATCH_CONNECTIONS = (1, 4)
BATCH_ROWS = 1_000
Loads = dict[int, Load]


def main() -> None:
    """Measure all four servers and print the report."""
    model = fitted()
    rows = (model.rows * (BATCH_ROWS // len(model.rows) + 1))[:BATCH_ROWS]
    single = [{"model": MODEL, "row": row} for row in model.rows[:500]]
    features = [feature.name for feature in model.contract.features]
    categories = [each.name for each in model.contract.features if each.type == "category"]
    asked = [{name: row.get(name) for name in features} for row in rows]
    with scratch() as directory:
        echoes: dict[str, Loads] = {}
        for kind in ("raw", "fastapi"):
            with echo(kind, directory) as port:
                echoes[kind] = loads(port, "/predictions", single, CONNECTIONS)
        (directory / "state").mkdir()
        with service(directory / "state") as port:
            let_serve(port, directory / "state", model)
            ours = loads(port, "/predictions", single, CONNECTIONS)
            batches = [{"model": MODEL, "rows": rows}]
            ours_many = loads(port, "/predictions", batches, BATCH_CONNECTIONS)
        with mlflow_model(model.pipeline, categories, directory) as port:
            bodies = [{"dataframe_records": [row]} for row in asked[:500]]
            mlflow = loads(port, "/invocations", bodies, CONNECTIONS)
            batches = [{"dataframe_records": asked}]
            mlflow_many = loads(port, "/invocations", batches, BATCH_CONNECTIONS)
        floor = fdatasync_per_second(directory)
    figures = [line(1, c, ours[c], mlflow[c], echoes, floor) for c in CONNECTIONS]
    figures += [
        line(BATCH_ROWS, c, ours_many[c], mlflow_many[c], None, floor) for c in BATCH_CONNECTIONS
    ]
    report(
        "Durable predictions over HTTP, hist gradient boosting "
        f"(load average {os.getloadavg()[0]:.1f} at the end)",
        figures,
    )


def loads(port: int, path: str, bodies: Sequence[object], connections: tuple[int, ...]) -> Loads:
    """The same bodies at each number of connections."""
    return {
        each: load(port, path, bodies, connections=each, seconds=SECONDS) for each in connections
    }


def line(
    rows: int,
    connections: int,
    ours: Load,
    mlflow: Load,
    echoes: dict[str, Loads] | None,
    floor: float,
) -> Figure:
    """One line of the report; rates in rows a second, the floor in syncs a second."""
    of_echoes = {
        kind: ours.per_second / echoes[kind][connections].per_second if echoes else "-"
        for kind in ("fastapi", "raw")
    }
    return {
        "rows": rows,
        "connections": connections,
        "rows/s": ours.per_second * rows,
        "p50 ms": ours.p50_ms,
        "p99 ms": ours.p99_ms,
        "mlflow rows/s": mlflow.per_second * rows,
        "times mlflow": ours.per_second / mlflow.per_second,
        "of fastapi echo": of_echoes["fastapi"],
        "of raw uvicorn": of_echoes["raw"],
        "fdatasync/s": floor,
    }


def let_serve(port: int, state_dir: Path, model: Fitted) -> None:
    """Adopt the contract over HTTP, promote the plan, and wait until it answers."""
    address = f"http://127.0.0.1:{port}"
    headers = {"Content-Type": "application/yaml"}
    httpx.post(f"{address}/contracts", content=model.document, headers=headers).raise_for_status()
    ledger = open_ledger(Settings(state_dir=state_dir))
    promote(ledger, model.plan)
    ledger.close()
    while httpx.get(f"{address}/models/{MODEL}").json()["answers"] is None:
        pass  # the service looks every half second


if __name__ == "__main__":
    main()
