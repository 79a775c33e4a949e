"""The run itself: ledgers of every size, and everything that is measured on them, in this order."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

import orjson

from app.projections.opening import open_ledger
from app.settings import Settings
from benchmarks.cars import fitted
from benchmarks.growth.asking import client
from benchmarks.growth.beside import REBUILDING, Beside, rebuilt_beside
from benchmarks.growth.extent import Extent
from benchmarks.growth.filling import Filling, copied, cycling, kept
from benchmarks.growth.intake import (
    Rates,
    batch,
    batches,
    bytes_a_row,
    outcomes,
    uploads,
)
from benchmarks.growth.pages import DOORS, OVERVIEW, Waits, waits
from benchmarks.growth.processes import Ran, bytes_below, command, family, peak_mb, program
from benchmarks.growth.sold_cars import Rows
from benchmarks.growth.told import Told
from benchmarks.replay import peers_rate
from benchmarks.servers import echo, mlflow_model, service

_SERVED_BATCHES: Final = 3
_SIGNED_WHEN_ASKED: Final = 3600.0  # seconds between checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A ledger that is there to be measured."""

    settings: Settings
    rows: int  # predicted, in the window
    entries: int
    decisions: int
    as_of: str  # of the next cycle
    seconds: float  # that filling it took, from the size before on
    bytes: int  # of all its files, once everything is derived


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A service on such a ledger: seconds, and the most memory it had taken by then, in MB."""

    start_seconds: float
    start_mb: float
    signing_seconds: float  # the first checkpoint
    signing_mb: float
    serving_mb: float  # after every page and some batches
    folding_mb: float  # of the process beside it that folds rows, by then; 0 where none ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything that one run measured."""

    filled: dict[int, Filled]
    serving: dict[int, Serving]
    pages: Waits
    verify: dict[int, Ran]
    rebuild: dict[int, Ran]  # which says the seconds of the work alone
    beside: dict[int, Beside]  # the same while the service answers predictions
    replay: dict[int, Ran]
    cycle: dict[int, Ran]
    uploads: Rates
    outcomes: Rates
    bytes_a_row: float
    batches: dict[tuple[str, int], Rates]
    peer_replays: float | None  # events a second, by pyeventsourcing; None: it was not asked
    load: tuple[float, float]  # average at the begin and at the end


def measured(directory: Path, extent: Extent) -> Found:
    """Fill ledgers below `directory`, and measure."""
    begun, told = os.getloadavg()[0], Told(extent, len(DOORS))
    filling = Filling()
    rows = Rows(filling.cars)
    filled = _fill(directory, filling, extent, told)
    serving, pages, beside = _served(directory, filled, rows, extent, told)
    filled = {size: _weighed(each) for size, each in filled.items()}
    verify, rebuild, replay, cycle = {}, {}, {}, {}
    largest = filled[max(filled)]
    peer: list[float] = []

    def ask_peer() -> None:
        if extent.peers:
            told("pyeventsourcing")
            with closing(open_ledger(largest.settings)) as ledger:
                peer.append(peers_rate(ledger, directory, largest.entries))

    for size, each in filled.items():
        told("verify", size)
        verify[size] = command(each.settings, "verify", "--json")
        if each is largest:
            ask_peer()  # before and behind what it is held against
        told("rebuild", size)
        rebuild[size] = program(REBUILDING, each.settings)
        if each is largest:
            ask_peer()
        told("replay", size)
        replay[size] = command(each.settings, "replay", "--json")
        told("cycle", size)
        cycle[size] = command(each.settings, *cycling(each.as_of))
        kept(cycle[size].answer)
    told("disk")
    weight = bytes_a_row(largest.settings, rows, extent)
    with service(largest.settings.state_dir) as port, _mlflow(directory, extent) as mlflow:
        return Found(
            filled=filled,
            serving=serving,
            pages=pages,
            verify=verify,
            rebuild=rebuild,
            beside=beside,
            replay=replay,
            cycle=cycle,
            uploads=uploads(port, rows, directory, extent, told),
            outcomes=outcomes(port, rows, directory, extent, told),
            bytes_a_row=weight,
            batches=batches(port, mlflow, rows, extent, told),
            peer_replays=median(peer) if peer else None,
            load=(begun, os.getloadavg()[0]),
        )


def _fill(directory: Path, filling: Filling, extent: Extent, told: Told) -> dict[int, Filled]:
    """A ledger of each size, the larger ones grown from copies of the smaller."""
    filled: dict[int, Filled] = {}
    before: Path | None = None
    for size in extent.sizes:
        state = directory / str(size)
        if before is None:
            told("first decision")
            filling.begin(state)
        else:
            copied(before, state)
        told("fill", size)
        began, there = time.perf_counter(), filling.rows

        def reached(rows: int, size: int = size, there: int = there) -> None:
            told("fill", size, share=(rows - there) / max(1, size - there))

        entries = filling.grow(state, size, reached)
        filled[size] = Filled(
            settings=Settings(state_dir=state),
            rows=size,
            entries=entries,
            decisions=filling.decisions,
            as_of=filling.next_as_of(),
            seconds=time.perf_counter() - began,
            bytes=0,
        )
        before = state
    return filled


def _served(
    directory: Path, filled: dict[int, Filled], rows: Rows, extent: Extent, told: Told
) -> tuple[dict[int, Serving], Waits, dict[int, Beside]]:
    """A service on each ledger, side by side, and the empty route beside them."""
    ports: dict[int, int] = {}
    started: dict[int, tuple[float, float, float, float]] = {}
    with ExitStack() as running:
        empty = running.enter_context(echo("fastapi", directory))
        for size, each in filled.items():
            told("start", size)
            began = time.perf_counter()
            ports[size] = running.enter_context(
                service(each.settings.state_dir, checkpoint_seconds=_SIGNED_WHEN_ASKED)
            )
            start = time.perf_counter() - began, _resident(each)
            began = time.perf_counter()
            with client(ports[size]) as asking:
                asking.get("/ledger/checkpoint?new=true")
            started[size] = (*start, time.perf_counter() - began, _resident(each))
            with client(ports[size]) as asking:
                for _ in range(_SERVED_BATCHES):
                    asking.post("/predictions", orjson.dumps(batch(rows, extent)))
                for door in DOORS:
                    asking.get(door)
        for port in ports.values():  # what was filled is derived beside the service, as always
            with client(port) as asking:
                asking.wait_until_folded()
        with client(empty) as asking:
            asking.get(OVERVIEW)
        pages = waits(ports, empty, extent, told)
        serving = {
            size: Serving(
                start_seconds=found[0],
                start_mb=found[1],
                signing_seconds=found[2],
                signing_mb=found[3],
                serving_mb=_resident(filled[size]),
                folding_mb=max(map(peak_mb, family(_pid(filled[size]))[1:]), default=0.0),
            )
            for size, found in started.items()
        }
        beside = {}
        for size, each in filled.items():
            told("rebuild", size)
            beside[size] = rebuilt_beside(ports[size], each.settings, rows, extent)
    return serving, pages, beside


def _weighed(filled: Filled) -> Filled:
    return replace(filled, bytes=bytes_below(filled.settings.state_dir))


def _resident(filled: Filled) -> float:
    return peak_mb(_pid(filled))


def _pid(filled: Filled) -> int:
    return int((filled.settings.state_dir / "service.pid").read_text(encoding="utf-8"))


@contextmanager
def _mlflow(directory: Path, extent: Extent) -> Iterator[int | None]:
    """Where MLflow serves the same kind of model; None where no peer is asked."""
    if not extent.peers:
        yield None
        return
    model = fitted()
    categories = [each.name for each in model.contract.features if each.type == "category"]
    with mlflow_model(model.pipeline, categories, directory) as port:
        yield port
