"""A rebuild beside predictions: how long it takes, and how long a prediction waits meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import orjson

from app.settings import Settings
from benchmarks.cars import MODEL
from benchmarks.growth.asking import Client, client
from benchmarks.growth.extent import Extent
from benchmarks.growth.pages import p95
from benchmarks.growth.processes import Ran, program
from benchmarks.growth.sold_cars import Rows

REBUILDING = "benchmarks.growth.rebuilding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What one saw of the other."""

    rebuild: Ran
    alone_ms: float  # p95 of a prediction before the rebuild
    beside_ms: float  # and while it ran


def rebuilt_beside(port: int, settings: Settings, rows: Rows, extent: Extent) -> Beside:
    """Rebuild the ledger of a service that answers one client's predictions all the time.

    Raises:
        RuntimeError: a prediction was not answered, or the rebuild failed.
    """
    with client(port) as asking, ThreadPoolExecutor(1) as other:
        alone = _while(asking, rows, lambda asked: asked < extent.requests)
        rebuilding: Future[Ran] = other.submit(program, REBUILDING, settings)
        beside = _while(asking, rows, lambda asked: not asked or not rebuilding.done())
        return Beside(rebuild=rebuilding.result(), alone_ms=p95(alone), beside_ms=p95(beside))


def _while(asking: Client, rows: Rows, goes_on: Callable[[int], bool]) -> list[float]:
    """The ms of predictions, one after the other, for as long as `goes_on` after so many."""
    took: list[float] = []
    while goes_on(len(took)):
        (one,) = rows.take(1)
        body = orjson.dumps({"model": MODEL, "row": one.row})
        began = time.perf_counter()
        asking.post("/predictions", body)
        took.append((time.perf_counter() - began) * 1000)
    return took
