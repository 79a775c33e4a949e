"""What a client waits for a page, at each size by turns, and beside them an empty FastAPI route."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from statistics import median
from typing import Final

from benchmarks.cars import MODEL
from benchmarks.growth.asking import client
from benchmarks.growth.extent import Extent
from benchmarks.growth.told import Told

OVERVIEW: Final = "/"
DOORS: Final = ("/models", f"/models/{MODEL}/health", "/audit/decisions", OVERVIEW)
EMPTY: Final = 0  # the size under which the empty route stands
_P95: Final = 0.95
Waits = dict[int, dict[str, float]]  # size -> page -> p95 in ms


def waits(ports: Mapping[int, int], empty: int, extent: Extent, told: Told) -> Waits:
    """What each page takes at each size, and the empty route: medians over the rounds.

    Args:
        ports: size -> where the service with a ledger of that size listens.
        empty: where the empty route is.
    """
    seen: dict[tuple[int, str], list[float]] = {}
    for _ in range(extent.rounds):
        for door in DOORS:
            told("pages")
            seen.setdefault((EMPTY, OVERVIEW), []).append(turn(empty, OVERVIEW, extent))
            for size, port in ports.items():
                seen.setdefault((size, door), []).append(turn(port, door, extent))
    found: Waits = {size: {} for size in (EMPTY, *ports)}
    for (size, door), each in seen.items():
        found[size][door] = median(each)
    return found


def turn(port: int, path: str, extent: Extent) -> float:
    """The p95 in ms of some requests over one connection, one after the other."""
    took: list[float] = []
    with client(port) as asking:
        end = time.perf_counter() + extent.turn_seconds
        while len(took) < extent.requests and (not took or time.perf_counter() < end):
            began = time.perf_counter()
            asking.get(path)
            took.append((time.perf_counter() - began) * 1000)
    return p95(took)


def p95(values: list[float]) -> float:
    """The value that 95 of 100 do not exceed.

    >>> p95([3.0, 1.0, 2.0])
    3.0
    """
    return sorted(values)[math.ceil(_P95 * len(values)) - 1]
