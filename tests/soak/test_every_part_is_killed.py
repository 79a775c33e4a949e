"""kill -9 of replicas, of who trains and of who erases, while all that can happen does.

What was acknowledged stands once, every cycle ends, nobody is half erased.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from domain.events.events import (
    CandidatePromoted,
    ChampionRolledBack,
    DatasetReceived,
    ObservationRecorded,
    OutcomeRecorded,
    PayloadErased,
)
from domain.events.expansion import expanded
from tests.app.car_ledger import CarLedger
from tests.app.people import holders, rows_with, trained_on_people
from tests.soak.progress import counted
from tests.soak.replicas import Replicas, replicas
from tests.soak.tables import Show
from tests.soak.test_kill import assert_verified
from tests.soak.turns import Said, Turns, observe
from tests.soak.watching import Watch

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
E = TypeVar("E")
KILLS_SHORT = 3
KILLS_LONG = 100  # on each database, unless --kills says how many on both
RESTARTS = "restarts"  # of a replica, whatever is done meanwhile
MOMENTS = (
    "predictions",
    "labels",
    "uploads",
    "cycles",
    "rollbacks",
    "erasures",
    RESTARTS,
)
WAITED_SECONDS = 2.0  # for the moment that is to be hit; then whatever is done is
DELAYS_SECONDS = {  # into it, at most
    "predictions": 0.01,
    "labels": 0.02,
    "uploads": 0.05,
    "cycles": 2.0,
    "rollbacks": 0.05,
    "erasures": 1.0,
}
CYCLE_SHARE = 0.25  # of the kills during a cycle that end who trains: three, and it is given up
ERASURE_SHARE = 0.8


@pytest.fixture
def kills(kills_asked: int | None, soaking: bool) -> int:
    """How many on each database."""
    return kills_asked or (KILLS_LONG if soaking else KILLS_SHORT)


def kill(running: Replicas, said: Said, moment: str, chance: random.Random) -> tuple[str, str]:
    """Kill somebody, if possible at this moment: whom it hit, and what was being done."""
    if moment == RESTARTS:
        running.kill_one_that_starts(chance)
        said.done[RESTARTS] += 1
        return "a replica", moment
    patience = time.monotonic() + WAITED_SECONDS
    # Nobody who erases is killed for want of another, or no erasure would ever end.
    while said.now != moment and (said.now == "erasures" or time.monotonic() < patience):
        if said.failed:
            break
        time.sleep(0.001)
    time.sleep(chance.uniform(0, DELAYS_SECONDS[moment]))
    doing, eraser = said.now, said.eraser
    if doing == "erasures" and eraser is not None and chance.random() < ERASURE_SHARE:
        eraser.kill()
        return "who erases", doing
    if doing == "cycles" and chance.random() < CYCLE_SHARE and running.kill_worker():
        return "who trains", doing
    running.kill_one(chance)
    return "a replica", doing


def test_whoever_is_killed_nothing_acknowledged_is_lost_and_nobody_is_half_erased(
    ledger: Ledger,
    settings: Settings,
    with_registry: Callable[[Settings], Settings],
    kills: int,
    show: Show,
) -> None:
    cars, _ = trained_on_people(ledger, with_registry(settings))
    said, over, chance = Said(), threading.Event(), random.Random(8)
    hit: Counter[tuple[str, str]] = Counter()
    with replicas(settings) as running, ThreadPoolExecutor(2) as pool:
        turns = Turns(running, cars, said)
        at_work: list[Future[None]] = [pool.submit(turns.run)]
        at_work.append(pool.submit(observe, running, said, over))
        try:
            for _ in counted(kills, "kills"):
                if any(one.done() for one in at_work):
                    break
                moment = chance.choice(MOMENTS)
                hit[kill(running, said, moment, chance)] += 1
        finally:
            turns.over.set()
            over.set()
        for one in at_work:
            one.result()
    watch = Watch(ledger)
    watch.look()
    watch.assert_kept(said.positions)
    assert_everything_is_whole(cars, said)
    assert rebuild(ledger, page_entries=5000).differing == ()
    assert_verified(ledger, settings, watch.size)
    database = ledger.engine.dialect.name
    show(f"kills, {database}", table(NAMES[database], hit, said, watch.size))


def assert_everything_is_whole(cars: CarLedger, said: Said) -> None:
    """Once each: uploads, labels, promotions, rollbacks. No cycle is open, no erased row kept."""
    events = list(every_event(cars.ledger))
    received = [event.dataset_sha256 for event in of(events, DatasetReceived)]
    assert set(received) == said.uploads
    assert len(received) == len(said.uploads)
    observed = [(event.source, event.source_id) for event in of(events, ObservationRecorded)]
    assert len(set(observed)) == len(observed)
    told = [(event.source, event.source_id) for event in of(events, OutcomeRecorded)]
    assert len(set(told)) == len(told)
    promoted = [event.cycle for event in of(events, CandidatePromoted)]
    assert len(promoted) == len(set(promoted))
    assert len(of(events, ChampionRolledBack)) == said.done["rollbacks"]
    cycles = [cars.cycle(number + 1) for number in range(cars.view().cycles_started)]
    assert {cycle.status for cycle in cycles} == {"ended"}
    assert len(of(events, PayloadErased)) == len(said.erased)
    for marker, identity in said.erased:
        for needle in (marker, identity):
            assert set(rows_with(cars.ledger, needle).values()) == {0}, needle
    needles = [needle.encode() for pair in said.erased for needle in pair]
    assert holders(cars.settings.state_dir, *needles) == []


def every_event(ledger: Ledger) -> Iterator[object]:
    after = -1
    while page := ledger.read(after):
        yield from (row.event for row in expanded(page))
        after = page[-1].position


def of(events: Iterable[object], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def table(database: str, hit: Counter[tuple[str, str]], said: Said, size: int) -> str:
    """What was done, and how often somebody was killed while it was."""
    lines = [
        f"{database}: {hit.total():,} kills, {size:,} entries, none lost.",
        "",
        "| while | done | a replica killed | who trains | who erases |",
        "| --- | --: | --: | --: | --: |",
    ]
    for moment in MOMENTS:
        counts = [hit[who, moment] for who in ("a replica", "who trains", "who erases")]
        lines.append(f"| {moment} | {said.done[moment]:,} | {' | '.join(map(str, counts))} |")
    extra = (
        f"{said.done['observations']:,} observations beside them, {said.done['promotions']} "
        f"promotions, {said.done['of these given up']} cycles given up after three deaths, "
        f"{said.done['of these taken up again']} erasures taken up again."
    )
    return "\n".join([*lines, "", extra])
