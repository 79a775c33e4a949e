"""What was found, as tables: against the targets, and at each size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from benchmarks.growth.extent import size_words
from benchmarks.growth.intake import BURST, CONNECTIONS, FOLDING, Rates
from benchmarks.growth.measuring import Found
from benchmarks.growth.pages import DOORS, EMPTY, OVERVIEW
from benchmarks.growth.processes import Ran
from benchmarks.report import Figure

PAGE_AT_MOST: Final = 20.0  # times the empty route
OVERVIEW_AT_MOST: Final = 60.0
GROWS_AT_MOST: Final = 1.5  # times, from the smallest size to the largest
BATCHES_AT_LEAST: Final = {  # times MLflow
    (BURST, 1): 2.5,
    (BURST, 4): 2.0,
    (FOLDING, 1): 2.0,
    (FOLDING, 4): 1.8,
}
UPLOAD_AT_LEAST: Final = 0.25  # of sqlite3
UPLOADED_AT_LEAST: Final = 20_000.0  # rows a second
LABELLED_AT_LEAST: Final = 10_000.0
REBUILD_AT_LEAST: Final = 3.0  # times pyeventsourcing
BYTES_AT_MOST: Final = 200.0  # a row of a batch
SAME_WITHIN: Final = 0.10  # of memory at start, while serving and first signing
_NOT_ASKED: Final = "not asked"  # a peer
_UNKNOWN: Final = "–"  # the system does not say, or there is one size


def targets(found: Found) -> list[Figure]:
    """One line for each target: what was measured, what it must be, whether it is."""
    return [
        *_pages(found),
        *_keep_cycle(found),
        *_batches(found.batches),
        *_intake(found),
        _rebuild(found),
        _line(
            "disk, all files, B a row of a batch",
            "–",
            found.bytes_a_row,
            f"≤ {BYTES_AT_MOST:g}",
            found.bytes_a_row <= BYTES_AT_MOST,
        ),
        *_memory(found),
    ]


def sizes(found: Found) -> list[Figure]:
    """One line for each thing that was measured at every size, a column for each."""
    whole = found.filled

    def line(what: str, value: Callable[[int], float]) -> Figure:
        return {"what": what} | {_column(size): value(size) for size in whole}

    def both(what: str, ran: Mapping[int, Ran]) -> Iterator[Figure]:
        yield line(f"{what}, s", lambda size: ran[size].seconds)
        yield line(f"{what}, MB", lambda size: ran[size].peak_mb)

    def pages(door: str) -> Figure:
        return line(f"GET {door}, p95 ms", lambda size: found.pages[size][door])

    return [
        line("entries", lambda size: whole[size].entries),
        line("decisions", lambda size: whole[size].decisions),
        line("filled from the size before, s", lambda size: whole[size].seconds),
        line("all files, MB", lambda size: whole[size].bytes / 1e6),
        line("first start, s", lambda size: found.serving[size].start_seconds),
        line("first start, MB", lambda size: found.serving[size].start_mb),
        line("first signing, s", lambda size: found.serving[size].signing_seconds),
        line("first signing, MB", lambda size: found.serving[size].signing_mb),
        line("serving, MB", lambda size: found.serving[size].serving_mb),
        line("the process that folds, MB", lambda size: found.serving[size].folding_mb),
        *both("verify", found.verify),
        *both("rebuild, start of its process included", found.rebuild),
        *both(
            "the same beside predictions",
            {size: each.rebuild for size, each in found.beside.items()},
        ),
        line("a prediction meanwhile, p95 ms", lambda size: found.beside[size].beside_ms),
        line("a prediction before, p95 ms", lambda size: found.beside[size].alone_ms),
        *both("whyledger replay", found.replay),
        *both("keep cycle", found.cycle),
        *(pages(door) for door in DOORS),
    ]


def empty_route_ms(found: Found) -> float:
    """The p95 of the empty FastAPI route, in ms."""
    return found.pages[EMPTY][OVERVIEW]


def _pages(found: Found) -> Iterator[Figure]:
    small, large = min(found.filled), max(found.filled)
    for door in DOORS:
        times = found.pages[large][door] / empty_route_ms(found)
        most = OVERVIEW_AT_MOST if door == OVERVIEW else PAGE_AT_MOST
        yield _line(
            f"GET {door} at {size_words(large)}, p95, times",
            "an empty FastAPI route",
            times,
            f"≤ {most:g}",
            times <= most,
        )
        grown = found.pages[large][door] / found.pages[small][door]
        yield _line(
            f"the same, times {size_words(small)}",
            "itself",
            grown,
            f"≤ {GROWS_AT_MOST:g}",
            grown <= GROWS_AT_MOST,
        )


def _keep_cycle(found: Found) -> Iterator[Figure]:
    small, large = min(found.filled), max(found.filled)
    window = f"keep cycle, a window of {size_words(large)} rows"
    memory = _over(found.cycle[large].peak_mb, found.cycle[small].peak_mb)
    yield _line(
        f"{window}, memory, times {size_words(small)}",
        "itself",
        _UNKNOWN if memory is None else memory,
        f"≤ {GROWS_AT_MOST:g}",
        None if memory is None else memory <= GROWS_AT_MOST,
    )
    grown = time_grows(found.cycle)
    yield _line(
        f"{window}, time of one more row, times that before",
        "itself",
        _UNKNOWN if grown is None else grown,
        f"linear: ≤ {GROWS_AT_MOST:g}",
        None if grown is None else grown <= GROWS_AT_MOST,
    )


def time_grows(ran: Mapping[int, Ran]) -> float | None:
    """The time of one more row up to the largest size, over that up to the size before.

    1 where time is linear, whatever a process costs at any size. With two sizes, the time of a row
    at the larger over that at the smaller; None with one.
    """
    taken = sorted((size, each.seconds) for size, each in ran.items())
    if len(taken) < 2:
        return None
    steps = [
        (seconds - before) / (size - smaller)
        for (smaller, before), (size, seconds) in pairwise(taken)
    ]
    if len(steps) == 1:
        (smaller, before), (size, seconds) = taken
        return seconds / size / (before / smaller)
    return _over(steps[-1], steps[-2])


def _batches(found: Mapping[tuple[str, int], Rates]) -> Iterator[Figure]:
    for when in (BURST, FOLDING):
        for connections in CONNECTIONS:
            rates, least = found[when, connections], BATCHES_AT_LEAST[when, connections]
            many = f"{connections} connection{'s' * (connections > 1)}"
            yield _times(
                f"batches, {many}, {when}, times", "mlflow models serve", rates.times, least
            )


def _intake(found: Found) -> Iterator[Figure]:
    peer = "sqlite3, one transaction"
    yield _times("CSV upload, times", peer, found.uploads.times, UPLOAD_AT_LEAST)
    yield _times("the same, rows/s", "–", found.uploads.ours, UPLOADED_AT_LEAST)
    yield _line("outcome batches, times", peer, found.outcomes.times or 0.0, "–", None)
    yield _times("the same, rows/s", "–", found.outcomes.ours, LABELLED_AT_LEAST)


def _rebuild(found: Found) -> Figure:
    large = max(found.filled)
    ours = found.filled[large].entries / float(found.rebuild[large].answer["seconds"])
    times = None if found.peer_replays is None else ours / found.peer_replays
    what = f"rebuild of all read models, {size_words(large)}, times"
    return _times(what, "pyeventsourcing, the same payloads", times, REBUILD_AT_LEAST)


def _memory(found: Found) -> Iterator[Figure]:
    small, large = found.serving[min(found.serving)], found.serving[max(found.serving)]
    for what, ours, least in (
        ("first start", large.start_mb, small.start_mb),
        ("first signing", large.signing_mb, small.signing_mb),
        ("serving", large.serving_mb, small.serving_mb),
        ("the process that folds", large.folding_mb, small.folding_mb),
    ):
        times = _over(ours, least)
        yield _line(
            f"{what} at {size_words(max(found.serving))}, memory, times "
            f"{size_words(min(found.serving))}",
            "itself",
            _UNKNOWN if times is None else times,
            f"1 ± {SAME_WITHIN:g}",
            None if times is None else abs(times - 1) <= SAME_WITHIN,
        )


def _times(what: str, peer: str, times: float | None, least: float) -> Figure:
    met = None if times is None else times >= least
    return _line(what, peer, _NOT_ASKED if times is None else times, f"≥ {least:,g}", met)


def _line(what: str, peer: str, measured: str | float, target: str, met: bool | None) -> Figure:
    said = {True: "yes", False: "no", None: "–"}[met]
    return {"what": what, "against": peer, "measured": measured, "target": target, "met": said}


def _over(large: float, small: float) -> float | None:
    return large / small if small > 0 else None


def _column(size: int) -> str:
    return f"{size_words(size)} rows"
