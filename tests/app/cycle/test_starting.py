"""Cycles are started, resumed, watched and given up; the workers are real processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.cause import Cause
from app.cycle.starting import Cycles, CycleTicket, give_up
from app.cycle.waiting import WAITS
from app.database.locks import NamedLock, is_running
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.decisions.cycle import ATTEMPTS_MAX
from domain.errors import (
    CycleRefused,
    CycleRunning,
    NothingToDecide,
    UnknownModel,
    UnknownThing,
)
from domain.events.cycle_events import AttemptStarted
from tests.app.car_ledger import CarLedger, types_of, year_end
from tests.app.cycle.interrupted import Interrupted
from tests.ledger_events import contract_adopted, put
from tests.patience import HANGS_SECONDS, until

ASKED = Cause.unauthenticated("asked")


@pytest.fixture
def cycles(cars: CarLedger, forked_workers: None) -> Iterator[Cycles]:
    """The cycles of a ledger in which `car-price/1` serves."""
    made = Cycles(cars.ledger, cars.settings)
    yield made
    made.close()


def ended(cycles: Cycles, cycle: str) -> None:
    """Wait for the cycle's end, and for its watcher to have seen it."""
    until(lambda: cycles.view(cycle).status == "ended", pause_seconds=0.05)
    for thread in threading.enumerate():
        if thread.name == f"cycle {cycle}":
            thread.join(HANGS_SECONDS)
            assert not thread.is_alive()


def test_a_model_without_a_contract_is_unknown(cycles: Cycles) -> None:
    with pytest.raises(UnknownModel, match=r"model 'planes' is unknown\. Adopt a contract"):
        cycles.start("planes", cause=ASKED)


def test_without_its_policy_nothing_can_be_decided(new_cars_on_both: CarLedger) -> None:
    cars = new_cars_on_both
    put(cars.ledger, "model-cars", contract_adopted(policy="lenient"))
    with pytest.raises(NothingToDecide, match="policy 'lenient', which was never adopted"):
        Cycles(cars.ledger, cars.settings).start("cars", cause=ASKED)
    assert cars.ledger.size() == 2


def test_without_champion_and_labels_nothing_can_be_decided(new_cars_on_both: CarLedger) -> None:
    cars = new_cars_on_both.adopts()
    cycles = Cycles(cars.ledger, cars.settings)
    with pytest.raises(NothingToDecide, match="no champion and no labelled row before 1972-01-01"):
        cycles.start("car-price", as_of=year_end(1971), cause=ASKED)
    cars.observes(cars.rows([1972], most=1))
    with pytest.raises(NothingToDecide, match="no labelled row before 1972-01-01"):
        cycles.start("car-price", as_of=year_end(1971), cause=ASKED)
    assert cars.view().cycles_started == 0


def test_as_of_is_neither_after_now_nor_before_the_last_cycle(
    cycles: Cycles, cars: CarLedger
) -> None:
    with pytest.raises(CycleRefused, match=r"as_of 2999-01-01T00:00:00\.000000Z is after now"):
        cycles.start("car-price", as_of=year_end(2998), cause=ASKED)
    with pytest.raises(CycleRefused, match="is before the last cycle of 'car-price'"):
        cycles.start("car-price", as_of=year_end(1974), cause=ASKED)
    assert cars.view().cycles_started == 1


def test_a_cycle_runs_in_a_process_of_its_own_and_a_second_request_is_told_which(
    cars: CarLedger,
) -> None:
    told: list[str] = []
    cycles = Cycles(
        cars.ledger,
        cars.settings,
        before_start=lambda model: told.append(f"before {model}"),
        after_end=lambda model: told.append(f"after {model}"),
    )
    cars.answers(cars.rows([1976]))
    ticket = cycles.start("car-price", as_of=year_end(1976), cause=ASKED)
    assert ticket == CycleTicket("car-price-2", resumed=False)
    with pytest.raises(CycleRunning, match="cycle 'car-price-2' is running") as running:
        cycles.start("car-price", as_of=year_end(1976), cause=ASKED)
    assert running.value.cycle == "car-price-2"
    ended(cycles, ticket.cycle)
    view = cycles.view(ticket.cycle)
    assert (view.conclusion, view.attempts) == ("kept", 1)
    entries = cars.ledger.read_stream("cycle-car-price-2").entries
    assert {entry.correlation_id for entry in entries} == {"asked"}
    assert [entry.causation_id for entry in entries[2:]] == [entry.id for entry in entries[1:-1]]
    assert told == ["before car-price", "before car-price", "after car-price"]
    assert cycles.recover() == []
    cycles.close()


def test_a_cycle_that_was_cut_off_is_resumed_under_its_id(cycles: Cycles, cars: CarLedger) -> None:
    cars.answers(cars.rows([1976]))
    cut_off = cars.starts(year_end(1976))
    ticket = cycles.start(
        "car-price", as_of=year_end(1980), force_reason="not looked at", cause=ASKED
    )
    assert ticket == CycleTicket(cut_off, resumed=True)
    ended(cycles, cut_off)
    assert cycles.view(cut_off).conclusion == "kept"
    assert cars.view().cycles_started == 2


def test_a_cycle_that_was_cut_off_is_taken_up_when_the_service_starts(
    cycles: Cycles, cars: CarLedger
) -> None:
    cut_off = cars.starts(year_end(1976))
    assert cycles.recover() == [cut_off]
    assert cycles.recover() == [], "it is running now"
    ended(cycles, cut_off)
    assert cycles.view(cut_off).conclusion == "kept"


def test_a_worker_that_cannot_start_is_logged_and_the_next_request_goes_on(
    cycles: Cycles, cars: CarLedger, caplog: pytest.LogCaptureFixture
) -> None:
    cut_off = cars.starts(year_end(1976))
    logs = cars.settings.state_dir / "logs"
    if logs.is_dir():
        logs.rename(logs.with_name("moved"))
    logs.write_text("where the workers' logs should be")
    assert cycles.recover() == [cut_off]
    for thread in threading.enumerate():
        if thread.name == f"cycle {cut_off}":
            thread.join(HANGS_SECONDS)
    assert f"cycle {cut_off} is not watched any more" in caplog.text
    logs.unlink()
    assert cycles.start("car-price", cause=ASKED) == CycleTicket(cut_off, resumed=True)
    ended(cycles, cut_off)


def test_a_cycle_that_runs_elsewhere_is_neither_resumed_nor_started_again(
    new_cars_on_both: CarLedger,
) -> None:
    cars = new_cars_on_both.adopts().observes(new_cars_on_both.rows([1971]))
    cycle = cars.starts(year_end(1971))
    cycles = Cycles(cars.ledger, cars.settings)
    other = open_ledger(cars.settings)
    with NamedLock(other.engine, cycles.lock_directory, cycle) as held:
        assert held
        assert cycles.recover() == []
        with pytest.raises(CycleRunning) as running:
            cycles.start("car-price", as_of=year_end(1971), cause=ASKED)
        assert running.value.cycle == cycle
        cycles.close()  # it would go on with the cycle as soon as the lock is free
    other.close()
    assert types_of(cars.ledger, f"cycle-{cycle}") == ["cycle.started"]


def test_a_worker_that_outlived_its_service_is_watched_and_resumed_when_it_dies(
    cycles: Cycles, cars: CarLedger
) -> None:
    cycle = cars.starts(year_end(1976))
    elsewhere = NamedLock(cars.ledger.engine, cycles.lock_directory, cycle)
    assert elsewhere.acquire()
    assert cycles.recover() == [], "nothing is resumed while it runs"
    elsewhere.release()  # as the system does when a worker dies
    ended(cycles, cycle)
    assert cycles.view(cycle).conclusion == "kept"


def test_workers_that_die_before_they_begin_fail_the_cycle(
    cycles: Cycles, cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_a_broken_worker(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])

    monkeypatch.setattr("app.cycle.starting.start_worker", start_a_broken_worker)
    cycle = cars.starts(year_end(1976))
    assert cycles.recover() == [cycle]
    ended(cycles, cycle)
    assert types_of(cars.ledger, f"cycle-{cycle}") == ["cycle.started", "cycle.failed"]
    reason = cycles.view(cycle).state["cycle.failed"]["reason"]
    assert reason.startswith("the last worker died before it began; its log is in")


class Told(threading.Event):
    """Keeps for how long it was waited for, and lets nobody wait."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        return super().wait(0.001)


def test_workers_that_wait_for_damage_nobody_recorded_follow_ever_more_slowly(
    cycles: Cycles, cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start_one_that_waits(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["/bin/sh", "-c", f"exit {WAITS}"]))
        return started[-1]

    closing = Told()
    monkeypatch.setattr(cycles, "_closing", closing)
    monkeypatch.setattr("app.cycle.starting.start_worker", start_one_that_waits)
    cycle = cars.starts(year_end(1976))
    assert cycles.recover() == [cycle]
    until(lambda: {0.5, 1.0, 2.0, 4.0, 60.0} <= set(closing.seconds))
    closing.set()
    cycles.close()
    assert {process.wait() for process in started} == {WAITS}, "none is left to itself"
    assert types_of(cars.ledger, f"cycle-{cycle}") == ["cycle.started"]


@pytest.mark.usefixtures("forked_workers")
def test_simultaneous_requests_start_one_cycle(cars: CarLedger) -> None:
    cars.answers(cars.rows([1976]))
    ledgers = [open_ledger(cars.settings) for _ in range(3)]
    processes = [Cycles(ledger, cars.settings) for ledger in ledgers]
    together = threading.Barrier(6)
    answers: list[str] = []

    def ask(cycles: Cycles) -> None:
        together.wait()
        try:
            answers.append(cycles.start("car-price", as_of=year_end(1976), cause=ASKED).cycle)
        except CycleRunning as running:
            answers.append(running.cycle)

    threads = [threading.Thread(target=ask, args=(cycles,)) for cycles in processes * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["car-price-2"] * 6
    for cycles in processes:
        ended(cycles, "car-price-2")
    assert cars.view().cycles_started == 2
    assert cars.cycle(2).attempts == 1, "one worker held the lock, the others went away"
    for cycles, ledger in zip(processes, ledgers, strict=True):
        cycles.close()
        ledger.close()


def test_who_is_too_late_to_start_a_cycle_is_told_which_one_runs(cars: CarLedger) -> None:
    locks = Cycles(cars.ledger, cars.settings).lock_directory
    lock = NamedLock(cars.ledger.engine, locks, "car-price-2")

    def be_quicker() -> None:
        cars.starts(year_end(1976))
        assert lock.acquire()

    meddled = Interrupted(cars.ledger, before="cycle.started", then=be_quicker)
    with pytest.raises(CycleRunning) as running:
        Cycles(meddled, cars.settings).start("car-price", as_of=year_end(1977), cause=ASKED)
    lock.release()
    assert running.value.cycle == "car-price-2"
    (entry,) = cars.ledger.read_stream("cycle-car-price-2").entries
    assert entry.occurred_at == year_end(1976)


def test_a_worker_that_went_on_meanwhile_is_not_given_up(cars: CarLedger) -> None:
    cycle = cars.starts(year_end(1976))
    attempt = [(AttemptStarted(attempt=1), year_end(1976))]
    meddled = Interrupted(
        cars.ledger, before="cycle.failed", then=lambda: cars.append(f"cycle-{cycle}", attempt)
    )
    assert not give_up(meddled, cycle, "died before it began", early=True)
    assert types_of(cars.ledger, f"cycle-{cycle}") == ["cycle.started", "cycle.attempt-started"]


def test_after_three_deaths_the_cycle_has_failed_and_production_stays(
    cycles: Cycles, cars: CarLedger
) -> None:
    before = cars.view()
    cycle = cars.starts(year_end(1976), contract_digest="0" * 64)  # nobody can read that contract
    assert cycles.recover() == [cycle]
    ended(cycles, cycle)
    assert types_of(cars.ledger, f"cycle-{cycle}") == [
        "cycle.started",
        *["cycle.attempt-started"] * ATTEMPTS_MAX,
        "cycle.failed",
    ]
    failed = cycles.view(cycle).state["cycle.failed"]
    assert (failed["attempts"], failed["step"]) == (3, "guard")
    assert failed["reason"] == (
        "the last worker ended with exit code 1; its log is in the state directory, "
        "logs/car-price-2.log"
    )
    log = (cars.settings.state_dir / "logs" / "car-price-2.log").read_text()
    assert log.count("UnknownThing") >= ATTEMPTS_MAX
    assert (cycles.view(cycle).conclusion, cars.view().champion) == ("failed", before.champion)
    assert cars.view().promoted_position == before.promoted_position
    ticket = cycles.start("car-price", as_of=year_end(1976), cause=ASKED)
    assert ticket == CycleTicket("car-price-3", resumed=False)
    ended(cycles, ticket.cycle)
    assert cycles.view(ticket.cycle).outcome == "keep: nothing to judge"


def test_a_third_attempt_that_runs_elsewhere_is_not_failed_from_here(
    cycles: Cycles, cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookers: list[str] = []

    def look(engine: Engine, directory: Path, name: str) -> bool:
        lookers.append(threading.current_thread().name)
        return is_running(engine, directory, name)

    monkeypatch.setattr("app.cycle.starting.is_running", look)
    cycle = cars.starts(year_end(1976))
    attempts = [(AttemptStarted(attempt=n), year_end(1976)) for n in (1, 2, 3)]
    cars.append(f"cycle-{cycle}", attempts)
    elsewhere = NamedLock(cars.ledger.engine, cycles.lock_directory, cycle)
    assert elsewhere.acquire()
    assert cycles.recover() == []
    until(lambda: lookers.count(f"cycle {cycle}") > 1)  # its watcher looked, and looked again
    assert types_of(cars.ledger, f"cycle-{cycle}")[-1] == "cycle.attempt-started"
    cycles.close()
    elsewhere.release()


def test_asking_for_a_cycle_that_is_not_there_is_refused(cycles: Cycles) -> None:
    with pytest.raises(UnknownThing, match="cycle 'car-price-9' does not exist"):
        cycles.view("car-price-9")
