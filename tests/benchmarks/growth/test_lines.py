"""What a run found is held to the issue's targets, line by line; what was not asked is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.settings import Settings
from benchmarks.growth.beside import Beside
from benchmarks.growth.intake import BURST, CONNECTIONS, FOLDING, Rates
from benchmarks.growth.lines import sizes, targets, time_grows
from benchmarks.growth.measuring import Filled, Found, Serving
from benchmarks.growth.pages import DOORS, EMPTY, OVERVIEW, p95
from benchmarks.growth.processes import Ran
from benchmarks.report import Figure

SMALL, LARGE = 10_000, 1_000_000


def filled(rows: int) -> Filled:
    return Filled(
        settings=Settings(state_dir=Path("state")),
        rows=rows,
        entries=rows * 2,
        decisions=rows // 100,
        as_of="1991-12-01T00:00:00.000000Z",
        seconds=1.0,
        bytes=rows * 1_000,
    )


def found() -> Found:
    """A run in which every target is met, each just so."""
    serving = Serving(
        start_seconds=2.0,
        start_mb=100.0,
        signing_seconds=0.1,
        signing_mb=110.0,
        serving_mb=120.0,
        folding_mb=90.0,
    )
    page = dict.fromkeys(DOORS, 20.0) | {OVERVIEW: 60.0}
    return Found(
        filled={size: filled(size) for size in (SMALL, LARGE)},
        serving={size: serving for size in (SMALL, LARGE)},
        pages={EMPTY: {OVERVIEW: 1.0}, SMALL: page, LARGE: page},
        verify={SMALL: Ran(1.0, 90.0, {}), LARGE: Ran(50.0, 90.0, {})},
        rebuild={SMALL: Ran(2.0, 90.0, {"seconds": 1}), LARGE: Ran(20.0, 90.0, {"seconds": 10})},
        beside={
            size: Beside(rebuild=Ran(30.0, 90.0, {}), alone_ms=1.0, beside_ms=2.0)
            for size in (SMALL, LARGE)
        },
        replay={SMALL: Ran(1.0, 90.0, {}), LARGE: Ran(10.0, 90.0, {})},
        cycle={SMALL: Ran(2.0, 200.0, {}), LARGE: Ran(60.0, 300.0, {})},
        uploads=Rates(25_000.0, 100_000.0),
        outcomes=Rates(10_000.0, 100_000.0),
        bytes_a_row=200.0,
        batches={
            (when, connections): Rates(25_000.0, 10_000.0)
            for when in (BURST, FOLDING)
            for connections in CONNECTIONS
        },
        peer_replays=50_000.0,
        load=(0.1, 1.2),
    )


def unmet(lines: list[Figure]) -> list[str]:
    return [str(line["what"]) for line in lines if line["met"] == "no"]


def test_what_is_just_met_is_met() -> None:
    assert unmet(targets(found())) == []


@pytest.mark.parametrize(
    ("run", "missed"),
    [
        (
            replace(found(), bytes_a_row=201.0),
            ["disk, all files, B a row of a batch"],
        ),
        (
            replace(found(), uploads=Rates(19_000.0, 80_000.0)),
            ["CSV upload, times", "the same, rows/s"],
        ),
        (replace(found(), outcomes=Rates(9_000.0, 1.0)), ["the same, rows/s"]),
        (
            replace(found(), peer_replays=70_000.0),
            ["rebuild of all read models, 1M, times"],
        ),
        (
            replace(found(), cycle={SMALL: Ran(2.0, 200.0, {}), LARGE: Ran(400.0, 301.0, {})}),
            [
                "keep cycle, a window of 1M rows, memory, times 10k",
                "keep cycle, a window of 1M rows, time of one more row, times that before",
            ],
        ),
        (
            replace(found(), batches=found().batches | {(BURST, 4): Rates(1.9, 1.0)}),
            ["batches, 4 connections, in a burst, times"],
        ),
        (
            replace(
                found(),
                serving=found().serving
                | {LARGE: replace(found().serving[LARGE], serving_mb=133.0, start_mb=89.0)},
            ),
            ["first start at 1M, memory, times 10k", "serving at 1M, memory, times 10k"],
        ),
    ],
)
def test_what_misses_its_target_is_named(run: Found, missed: list[str]) -> None:
    assert unmet(targets(run)) == missed


def test_a_page_is_held_to_the_empty_route_and_to_itself_at_the_smallest_size() -> None:
    slow = dict(found().pages[LARGE]) | {OVERVIEW: 90.5}
    missed = unmet(targets(replace(found(), pages=found().pages | {LARGE: slow})))
    assert missed == ["GET / at 1M, p95, times", "the same, times 10k"]


def test_a_peer_that_was_not_asked_judges_nothing() -> None:
    alone = replace(
        found(),
        peer_replays=None,
        batches={each: Rates(25_000.0, 0.0) for each in found().batches},
    )
    silent = [line for line in targets(alone) if line["measured"] == "not asked"]
    assert len(silent) == 5
    assert {line["met"] for line in silent} == {"–"}


def test_each_size_has_a_column() -> None:
    lines = sizes(found())
    assert all(list(line) == ["what", "10k rows", "1M rows"] for line in lines)
    assert {"what": "verify, s", "10k rows": 1.0, "1M rows": 50.0} in lines


def test_time_is_linear_whatever_a_process_costs() -> None:
    def ran(*seconds: float) -> dict[int, Ran]:
        return {10**power: Ran(each, 0.0, {}) for power, each in enumerate(seconds, 4)}

    assert time_grows(ran(3.1, 4.0, 13.0)) == pytest.approx(1.0)
    assert time_grows(ran(3.1, 4.0, 94.0)) == pytest.approx(10.0)
    assert time_grows(ran(1.0, 20.0)) == pytest.approx(2.0)
    assert time_grows(ran(1.0)) is None


def test_ninety_five_of_a_hundred_do_not_exceed_it() -> None:
    assert p95([float(each) for each in range(100, 0, -1)]) == 95.0
    assert p95([7.0]) == 7.0
