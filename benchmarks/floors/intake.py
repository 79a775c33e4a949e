"""Batches and CSV files: our service, the same without some of its work, and SQLite alone."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from statistics import median
from typing import Final

from app.settings import Settings
from benchmarks.cars import MODEL, fitted
from benchmarks.floors.variants import variant
from benchmarks.growth.asking import client
from benchmarks.growth.extent import Extent
from benchmarks.growth.intake import batch, inserted_csv
from benchmarks.growth.sold_cars import Rows
from benchmarks.load_generator import load
from benchmarks.report import Figure
from benchmarks.servers import mlflow_model, service

_BODIES: Final = 20
_CSV: Final = "text/csv"
_MLFLOW: Final = "mlflow models serve"
_PARTS_ROWS: Final = 2_000
_TOGETHER: Final = 500  # rows of a transaction of ours
_TABLES: Final = {  # what an upload leaves rows in -> the last of them
    "blocks": 'SELECT * FROM blocks WHERE "position" IN (SELECT "position" FROM row_ids'
    ' ORDER BY "position" DESC LIMIT ?) ORDER BY "position" DESC',
    "row_ids": 'SELECT * FROM row_ids ORDER BY "position" DESC, "row" DESC LIMIT ?',
    "labels": "SELECT * FROM {table} ORDER BY place DESC LIMIT ?",
}
_SCHEMA: Final = (
    "SELECT name, sql FROM sqlite_master WHERE tbl_name LIKE ? AND sql IS NOT NULL"
    " AND type IN ('table', 'index') ORDER BY type DESC"
)

Served = Callable[[Settings], AbstractContextManager[int]]


def batches(settings: Settings, rows: Rows, directory: Path, extent: Extent) -> list[Figure]:
    """Rows a second of batches in a burst at one connection and at four, by each design."""
    names = ["nothing kept", "made ready, not stored", "rows not provable"]
    designs: dict[str, Served] = {"as it is": lambda own: service(own.state_dir)}
    designs |= {name: _variant(name) for name in names}
    found: dict[str, dict[int, list[float]]] = {}
    with ExitStack() as running:
        ports = {
            name: running.enter_context(served(_copied(settings, directory, f"batches {name}")))
            for name, served in designs.items()
        }
        peer: int | None = None
        features: tuple[str, ...] = ()
        if extent.peers:
            model = fitted()
            named = [each.name for each in model.contract.features if each.type == "category"]
            peer = running.enter_context(mlflow_model(model.pipeline, named, directory))
            features = model.contract.feature_names
        for _ in range(extent.rounds):
            for connections in (1, 4):
                for name, port in ports.items():
                    bodies: list[object] = [batch(rows, extent) for _ in range(_BODIES)]
                    _note(found, name, connections, port, "/predictions", bodies, extent)
                    with client(port) as asking:
                        asking.wait_until_folded()
                if peer is not None:
                    asked = rows.take(extent.batch_rows)
                    records = [{each: row.row.get(each) for each in features} for row in asked]
                    body: list[object] = [{"dataframe_records": records}]
                    _note(found, _MLFLOW, connections, peer, "/invocations", body, extent)
    rates = {name: {at: median(each) for at, each in some.items()} for name, some in found.items()}
    of = rates.get(_MLFLOW)
    return [
        {
            "design": name,
            "rows/s, 1 connection": rate[1],
            "4 connections": rate[4],
            "µs a row": 1e6 / rate[1],
            "of MLflow": rate[1] / of[1] if of else "–",
            "of MLflow, 4": rate[4] / of[4] if of else "–",
        }
        for name, rate in rates.items()
    ]


def uploads(settings: Settings, rows: Rows, directory: Path, extent: Extent) -> list[Figure]:
    """Rows a second of a CSV, by each design; the medians of the rounds."""
    designs: dict[str, Served] = {
        "as it is": lambda own: service(own.state_dir),
        f"parts of {_PARTS_ROWS:,} rows": lambda own: service(
            own.state_dir, events_per_append_max=_PARTS_ROWS
        ),
        "rows folded when it is over": lambda own: service(own.state_dir, rows_folded_beside=False),
    }
    designs |= {
        name: _variant(name)
        for name in ("made ready, not stored", "ids of rows not kept", "nothing kept")
    }
    found: dict[str, list[float]] = {}
    with ExitStack() as running:
        states = {name: _copied(settings, directory, f"uploads {name}") for name in designs}
        ports = {name: running.enter_context(designs[name](own)) for name, own in states.items()}
        for number in range(extent.rounds):
            content = rows.cars.as_csv(rows.take(extent.uploaded))
            for name, port in ports.items():
                with client(port) as asking:
                    asking.wait_until_folded()
                    began = time.perf_counter()
                    answer = json.loads(asking.post(f"/models/{MODEL}/datasets", content, _CSV))
                    seconds = time.perf_counter() - began
                    if answer["accepted"] != extent.uploaded:
                        raise RuntimeError(f"{name}: {answer['accepted']} rows were accepted")
                    found.setdefault(name, []).append(extent.uploaded / seconds)
                    asking.wait_until_folded()
            seconds = inserted_csv(content, directory / f"floor-{number}.db")
            found.setdefault("sqlite3, one table, one transaction", []).append(
                extent.uploaded / seconds
            )
    seconds = _sqlite_alone(states["as it is"], directory, extent)
    found["SQLite alone: what we store of the rows, all its indexes"] = [
        extent.rounds * extent.uploaded / seconds
    ]
    rates = {name: median(each) for name, each in found.items()}
    of = rates["sqlite3, one table, one transaction"]
    return [
        {"design": name, "rows/s": rate, "µs a row": 1e6 / rate, "of sqlite3": rate / of}
        for name, rate in rates.items()
    ]


def _sqlite_alone(settings: Settings, directory: Path, extent: Extent) -> float:
    """Seconds that SQLite takes for what the uploads left in both files, 500 rows a transaction."""
    rows, seconds = extent.rounds * extent.uploaded, 0.0
    for source in settings.state_dir.glob("ledger.db*"):
        if source.name.endswith(("-wal", "-shm")):
            continue
        with closing(sqlite3.connect(source)) as given:
            for name, sql in _TABLES.items():
                schema = given.execute(_SCHEMA, (f"{name}%",)).fetchall()
                if schema:
                    held = given.execute(sql.format(table=schema[0][0]), (rows,)).fetchall()[::-1]
                    path = directory / f"alone-{name}.db"
                    seconds += _inserted_again(schema, held, rows, path)
    return seconds


def _inserted_again(
    schema: list[tuple[str, str]], held: list[tuple[object, ...]], rows: int, path: Path
) -> float:
    with closing(sqlite3.connect(path)) as fresh:
        fresh.execute("PRAGMA journal_mode = WAL")
        fresh.execute("PRAGMA synchronous = NORMAL")
        for _, sql in schema:
            fresh.execute(sql)
        put = f'INSERT INTO "{schema[0][0]}" VALUES ({", ".join("?" * len(held[0]))})'  # noqa: S608 ours
        at_once = max(1, _TOGETHER * len(held) // rows)
        began = time.perf_counter()
        for start in range(0, len(held), at_once):
            with fresh:
                fresh.executemany(put, held[start : start + at_once])
        return time.perf_counter() - began


def _variant(name: str) -> Served:
    return lambda own: variant(name, own)


def _copied(settings: Settings, directory: Path, name: str) -> Settings:
    state = directory / name.replace(" ", "-").replace(",", "")
    shutil.copytree(settings.state_dir, state)
    return Settings(state_dir=state)


def _note(
    found: dict[str, dict[int, list[float]]],
    name: str,
    connections: int,
    port: int,
    path: str,
    bodies: list[object],
    extent: Extent,
) -> None:
    seen = load(
        port, path, bodies, connections=connections, seconds=extent.load_seconds, warm_seconds=0.0
    )
    if seen.failed:
        raise RuntimeError(f"{name}: {seen.failed} answers of {seen.answers} failed")
    rate = seen.per_second * extent.batch_rows
    found.setdefault(name, {}).setdefault(connections, []).append(rate)
