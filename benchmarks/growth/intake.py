"""What comes in by the thousand: batches, CSV files, labels, and the bytes that a row leaves.

Beside each a peer that gets the same rows in the same run: `mlflow models serve`, which keeps
nothing, and `sqlite3`, which inserts them in one transaction and checks nothing.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from app.projections.opening import open_ledger
from app.settings import Settings
from benchmarks.cars import MODEL
from benchmarks.growth.asking import Client, client
from benchmarks.growth.extent import Extent
from benchmarks.growth.processes import bytes_below
from benchmarks.growth.sold_cars import AFTER, Asked, Cars, Rows
from benchmarks.growth.told import Told
from benchmarks.load_generator import load
from benchmarks.servers import service

CONNECTIONS: Final = (1, 4)
BURST: Final = "in a burst"
FOLDING: Final = "while folding"
_BODIES: Final = 20  # of one load, each with rows of its own
_IDLE_SECONDS: Final = 1.0  # before a burst
_CSV: Final = "text/csv"
_EVENTS: Final = "application/cloudevents-batch+json"


@dataclass(frozen=True, slots=True)
class Rates:
    """Rows a second, ours and the peer's; the peer's is 0 where none was asked."""

    ours: float
    peer: float

    @property
    def times(self) -> float | None:
        """Ours over the peer's."""
        return self.ours / self.peer if self.peer else None


def batches(
    port: int, mlflow: int | None, rows: Rows, extent: Extent, told: Told
) -> dict[tuple[str, int], Rates]:
    """When and at how many connections -> rows a second; medians over the rounds.

    In a burst: the service had nothing to do before. While folding: after seconds of the same, so
    that whatever is derived from the rows is being derived. A peer is asked when nothing is.

    Args:
        port: where our service listens.
        mlflow: where `mlflow models serve` listens; None: it is not asked.
    """
    ours: dict[tuple[str, int], list[float]] = {}
    peers: dict[int, list[float]] = {}
    for _ in range(extent.rounds):
        told("batches")
        for connections in CONNECTIONS:
            _folded(port)
            if mlflow is not None:
                asked = _features(rows.cars, rows.take(extent.batch_rows))
                bodies = [{"dataframe_records": asked}]
                peers.setdefault(connections, []).append(
                    _rate(mlflow, "/invocations", bodies, connections, extent, 0.5)
                )
            for when, warm in ((BURST, 0.0), (FOLDING, extent.folding_seconds)):
                _folded(port)
                time.sleep(_IDLE_SECONDS)
                sent: list[object] = [batch(rows, extent) for _ in range(_BODIES)]
                ours.setdefault((when, connections), []).append(
                    _rate(port, "/predictions", sent, connections, extent, warm)
                )
    return {
        (when, connections): Rates(median(each), median(peers.get(connections, [0.0])))
        for (when, connections), each in ours.items()
    }


def batch(rows: Rows, extent: Extent) -> dict[str, Any]:
    """The body of a request with many rows."""
    return {"model": MODEL, "rows": [each.row for each in rows.take(extent.batch_rows)]}


def uploads(port: int, rows: Rows, directory: Path, extent: Extent, told: Told) -> Rates:
    """Rows of a CSV taken in a second; the median over the rounds, each with another file.

    Raises:
        RuntimeError: not every row was accepted.
    """
    ours, peers = [], []
    for number in range(extent.rounds):
        told("uploads")
        content = rows.cars.as_csv(rows.take(extent.uploaded))
        _folded(port)
        peers.append(extent.uploaded / inserted_csv(content, directory / f"csv-{number}.db"))
        with client(port) as asking:
            began = time.perf_counter()
            answer = json.loads(asking.post(f"/models/{MODEL}/datasets", content, _CSV))
            ours.append(extent.uploaded / (time.perf_counter() - began))
        if answer["accepted"] != extent.uploaded:
            raise RuntimeError(f"{answer['accepted']} of {extent.uploaded} rows were accepted")
    return Rates(median(ours), median(peers))


def outcomes(port: int, rows: Rows, directory: Path, extent: Extent, told: Told) -> Rates:
    """Labels recorded a second, in batches; the median over the rounds.

    Every second batch names its predictions by id, the others by the row's identity.
    """
    ours, peers = [], []
    numbers = count()
    for number in range(extent.rounds):
        told("outcomes")
        with client(port) as asking:
            bodies = list(_label_bodies(asking, rows, extent, numbers))
            asking.wait_until_folded()
            peers.append(extent.outcomes / _inserted_labels(bodies, directory / f"{number}.db"))
            began = time.perf_counter()
            for body in bodies:
                asking.post("/events", body, _EVENTS)
            ours.append(extent.outcomes / (time.perf_counter() - began))
    return Rates(median(ours), median(peers))


def _folded(port: int) -> None:
    with client(port) as asking:
        asking.wait_until_folded()


def bytes_a_row(settings: Settings, rows: Rows, extent: Extent) -> float:
    """What a row of a batch adds to all files of the state directory, derived ones included."""
    before = bytes_at_rest(settings)
    sent = 0
    with service(settings.state_dir) as port, client(port) as asking:
        while sent < extent.kept:
            asking.post("/predictions", orjson.dumps(batch(rows, extent)))
            sent += extent.batch_rows
    return (bytes_at_rest(settings) - before) / sent


def bytes_at_rest(settings: Settings) -> int:
    """The bytes of all files, once everything is derived and the databases' logs are emptied."""
    with closing(open_ledger(settings)) as ledger:
        ledger.rows.catch_up()
    for log in settings.state_dir.glob("*-wal"):
        with closing(sqlite3.connect(log.with_name(log.name.removesuffix("-wal")))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return bytes_below(settings.state_dir)


def _rate(
    port: int, path: str, bodies: list[object] | list[Any], connections: int, extent: Extent,
    warm: float,
) -> float:  # fmt: skip
    seen = load(
        port,
        path,
        bodies,
        connections=connections,
        seconds=extent.load_seconds,
        warm_seconds=warm,
    )
    return seen.per_second * extent.batch_rows


def _features(cars: Cars, rows: Sequence[Asked]) -> list[dict[str, Any]]:
    names = cars.guard.contract.feature_names
    return [{name: each.row.get(name) for name in names} for each in rows]


def _label_bodies(
    asking: Client, rows: Rows, extent: Extent, numbers: Iterator[int]
) -> Iterator[bytes]:
    """Batches of outcomes, whose rows are predicted before."""
    for part in range(0, extent.outcomes, extent.batch_rows):
        asked = rows.take(min(extent.batch_rows, extent.outcomes - part))
        body = {"model": MODEL, "rows": [each.row for each in asked]}
        made = orjson.loads(asking.post("/predictions", orjson.dumps(body)))["predictions"]
        by_id = part // extent.batch_rows % 2 == 0
        yield orjson.dumps(
            [
                _outcome(
                    next(numbers),
                    each.units,
                    {"prediction_id": prediction["prediction_id"]}
                    if by_id
                    else {"identity": {name: each.row[name] for name in ("year", "car_id")}},
                )
                for each, prediction in zip(asked, made, strict=True)
            ]
        )


def _outcome(number: int, units: float, named: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": f"/sales/{AFTER}",
        "type": "org.whyledger.outcome.v1",
        "data": {"model": MODEL, "label": units, **named},
    }


def inserted_csv(content: bytes, path: Path) -> float:
    """Seconds until `sqlite3` has the file's rows, by their identity."""
    began = time.perf_counter()
    lines = csv.reader(io.StringIO(content.decode(), newline=""))
    header = next(lines)
    kinds = [f"{name} {'TEXT' if name in _TEXTS else 'REAL'}" for name in header]
    return _inserted(path, [*kinds, "PRIMARY KEY (year, car_id)"], len(header), lines, began)


_TEXTS: Final = ("sold_at", "vintage_id", "region")


def _inserted_labels(bodies: Sequence[bytes], path: Path) -> float:
    """Seconds until `sqlite3` has the labels of these bodies, by their ids."""
    began = time.perf_counter()
    sent = (each for body in bodies for each in json.loads(body))
    lines = (
        (
            each["source"],
            each["id"],
            each["data"].get("prediction_id") or str(each["data"]["identity"]),
            each["data"]["label"],
        )
        for each in sent
    )
    columns = ["source TEXT", "id TEXT", "named TEXT", "label REAL", "PRIMARY KEY (source, id)"]
    return _inserted(path, columns, 4, lines, began)


def _inserted(
    path: Path, columns: Sequence[str], width: int, rows: Iterable[Sequence[Any]], began: float
) -> float:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE rows ({', '.join(columns)})")
        places = ", ".join("?" * width)
        with database:
            database.executemany(f"INSERT INTO rows VALUES ({places})", rows)  # noqa: S608 ours
    return time.perf_counter() - began
