"""The worker process, really killed: `kill -9` at any moment, and what the next one makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.cycle.starting import Cycles, start_worker
from app.cycle.worker import begin_attempt
from app.database.locks import NamedLock, is_running
from app.ledger.known_damage import known_damage
from app.projections.rebuild import rebuild
from app.training.tracking import MlflowRegistry
from domain.decisions.cycle import ATTEMPTS_MAX
from domain.events.envelope import Recorded
from tests.app.car_ledger import CarLedger, types_of, year_end
from tests.app.cycle.forked_worker import start_forked_worker
from tests.app.proof.forger import change
from tests.patience import HANGS_SECONDS, until

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def killed_after(cars: CarLedger, cycle: str, event: str) -> None:
    """A worker takes up the cycle and is killed as soon as it has left another such event."""
    before = types_of(cars.ledger, f"cycle-{cycle}").count(event)
    worker = start_forked_worker(cars.settings, cycle)

    def left_another() -> bool:
        assert worker.poll() is None, "it ended before it could be killed"
        return types_of(cars.ledger, f"cycle-{cycle}").count(event) > before

    until(left_another)
    worker.kill()
    assert worker.wait() == -9
    until(lambda: not is_running(cars.ledger.engine, locks(cars), cycle))  # its death is noticed


def locks(cars: CarLedger) -> Path:
    return Cycles(cars.ledger, cars.settings).lock_directory


def finished(worker: subprocess.Popen[bytes]) -> int:
    return worker.wait(HANGS_SECONDS)


def entries(cars: CarLedger) -> list[Recorded]:
    return cars.ledger.read(limit=5000)


def test_a_cycle_killed_twice_is_promoted_once_and_the_alias_follows(
    new_cars_on_both: CarLedger,
) -> None:
    cars = new_cars_on_both.adopts().observes(new_cars_on_both.rows(range(1971, 1974)))
    cycle = cars.starts(year_end(1973))
    killed_after(cars, cycle, "cycle.window-guarded")
    killed_after(cars, cycle, "cycle.data-merged")
    assert finished(start_forked_worker(cars.settings, cycle)) == 0
    view = cars.cycle(1)
    assert (view.conclusion, view.attempts) == ("promoted", 3)
    steps = [t for t in types_of(cars.ledger, f"cycle-{cycle}") if t != "cycle.attempt-started"]
    assert len(steps) == len(set(steps)) == 11
    kinds = [entry.event.type for entry in entries(cars)]
    assert kinds.count("model.candidate-promoted") == 1
    assert [entry.position for entry in entries(cars)] == list(range(cars.ledger.size()))
    assert rebuild(cars.ledger).differing == ()
    registry = MlflowRegistry(cars.settings.state_dir, "1970-01-01T00:00:00Z")
    assert registry.champion_run("car-price") == cars.view().registry_run


def test_after_three_kills_the_next_worker_records_the_failure(cars: CarLedger) -> None:
    before = cars.view()
    cars.answers(cars.rows([1976]))
    cycle = cars.starts(year_end(1976), force="to be killed while it trains")
    for _ in range(ATTEMPTS_MAX):
        killed_after(cars, cycle, "cycle.attempt-started")
    assert finished(start_forked_worker(cars.settings, cycle)) == 1
    view = cars.cycle(2)
    assert (view.status, view.conclusion, view.attempts) == ("ended", "failed", ATTEMPTS_MAX)
    assert view.state["cycle.failed"]["reason"] == (
        "3 attempts were cut off; see logs/car-price-2.log"
    )
    after = cars.view()
    assert (after.champion, after.promoted_position) == (before.champion, before.promoted_position)
    assert finished(start_forked_worker(cars.settings, cycle)) == 0, "an ended cycle is left alone"


def test_a_worker_leaves_a_cycle_alone_that_another_one_runs(cars: CarLedger) -> None:
    cycle = cars.starts(year_end(1976))
    with NamedLock(cars.ledger.engine, cars.settings.state_dir / "locks", cycle) as held:
        assert held
        assert finished(start_forked_worker(cars.settings, cycle)) == 0
    assert types_of(cars.ledger, f"cycle-{cycle}") == ["cycle.started"]
    log = (cars.settings.state_dir / "logs" / f"{cycle}.log").read_text()
    assert f"cycle {cycle} is running elsewhere" in log


def test_damage_that_a_worker_meets_before_it_begins_is_recorded(cars: CarLedger) -> None:
    cycle = cars.starts(year_end(1976))
    (started,) = cars.ledger.read_stream(f"cycle-{cycle}").entries
    (content,) = cars.ledger.stored_bytes(started.position, started.position)
    change(
        cars.ledger,
        f"UPDATE entries SET bytes = :content WHERE position = {started.position}",
        content=content + b" ",
    )
    assert finished(start_forked_worker(cars.settings, cycle)) != 0
    with cars.ledger.snapshot() as connection:
        found = [each.found.position for each in known_damage(connection)]
    assert found == [started.position]


def test_attempts_are_counted_until_the_third(cars: CarLedger) -> None:
    cycle = cars.starts(year_end(1976))
    assert [begin_attempt(cars.ledger, cycle) for _ in range(4)] == [True, True, True, False]
    assert types_of(cars.ledger, f"cycle-{cycle}") == [
        "cycle.started",
        *["cycle.attempt-started"] * 3,
        "cycle.failed",
    ]
    assert begin_attempt(cars.ledger, cycle), "it has ended: there is nothing to attempt"


def test_a_worker_has_one_thread_for_linear_algebra_and_a_low_priority(
    cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in THREADS:
        monkeypatch.delenv(variable)
    cycle = cars.starts(year_end(1976))
    worker = start_worker(cars.settings, cycle)
    process = Path("/proc", str(worker.pid))

    def nice() -> bool:
        assert worker.poll() is None, "it ended before it was nice"
        return (process / "stat").read_text().rpartition(")")[2].split()[16] == "10"

    until(nice)
    environment = (process / "environ").read_text()
    assert finished(worker) == 0
    for variable in THREADS:
        assert f"{variable}=1" in environment.split("\0")
