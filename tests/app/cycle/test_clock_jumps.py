"""The host's clock jumps: cycles go on, the order is whole, and an event leads out of its lies.

The clock of these tests is the one `app.clock` reads, so every time and id comes from it.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, cast

import pytest

from app.audit.health import Health, current_health
from app.cause import Cause
from app.clock import now
from app.cycle.promotions import roll_back
from app.cycle.run import run_cycle
from app.cycle.starting import Cycles, CycleTicket
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.proof.checkpoints import Checkpoints
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.errors import CycleRefused
from domain.events.cycle_events import CycleStarted
from domain.times import format_time
from tests.app.car_ledger import CarLedger, bootstrapped, events_after, year_end
from tests.app.told_clock import DAY, SECOND, TEN_YEARS, ToldClock, host_zone, told_clock
from tests.ledger_events import contract_adopted, observation, put
from tests.patience import HANGS_SECONDS
from tests.soak.tables import Say
from tests.told import Story, ToldOnce, retold

Decided: TypeAlias = list[tuple[str, str, Mapping[str, Any]]]

ASKED = Cause.unauthenticated("asked")
# The third is a leap second that the host plays twice. The last zone is in summer time all year.
JUMPS = (timedelta(), -DAY, -SECOND, TEN_YEARS, timedelta(hours=-1), -TEN_YEARS)
YEARS = {False: (1976,), True: (1976, 1977, 1978, 1979, 1980)}  # lived through; True: the long form
ENTRIES_LONG = 200  # of each stream, by jumps that are drawn for each
SEED = 9
ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "<-03>3<-02>,J1/0,J365/23")


@pytest.fixture
def clock() -> Iterator[ToldClock]:
    with told_clock() as told:
        yield told


@pytest.fixture(scope="session")
def of_cars(registry_store: Path) -> Story:
    """1971 to 1975 were observed, and `car-price/1` serves."""

    def tell(ledger: Ledger, settings: Settings) -> None:
        shutil.copy(registry_store, settings.state_dir / "mlflow.db")
        bootstrapped(CarLedger(ledger, settings))

    return tell


@pytest.fixture(scope="session")
def steadily(of_cars: Story, request: pytest.FixtureRequest) -> Story:
    """What `lives` decides by a clock that nobody sets."""
    years = YEARS[bool(request.config.getoption("--soak", default=False))]

    def tell(ledger: Ledger, settings: Settings) -> Decided:
        of_cars(ledger, settings)
        return [each for year in years for each in lives(CarLedger(ledger, settings), year)]

    return tell


@pytest.fixture
def cars(settings: Settings, told_once: ToldOnce, of_cars: Story) -> Iterator[CarLedger]:
    """That story, on both databases."""
    ledger = open_ledger(retold(told_once(of_cars, settings), settings))
    yield CarLedger(ledger, settings)
    ledger.close()


class Ended:
    """A worker that has run its cycle in this process, and so by this process's clock."""

    returncode = 0

    def __init__(self, settings: Settings, cycle: str) -> None:
        ledger = open_ledger(settings)
        run_cycle(ledger, settings, cycle)
        ledger.close()

    def poll(self) -> int:
        return self.returncode


@pytest.fixture
def cycles(cars: CarLedger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cycles]:
    def start(settings: Settings, cycle: str) -> subprocess.Popen[bytes]:
        return cast("subprocess.Popen[bytes]", Ended(settings, cycle))

    monkeypatch.setattr("app.cycle.starting.start_worker", start)
    made = Cycles(cars.ledger, cars.settings)
    yield made
    made.close()


def waits_for(cycle: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"cycle {cycle}":
            thread.join(HANGS_SECONDS)
            assert not thread.is_alive()


def asked(cars: CarLedger, cycles: Cycles, *, reason: str | None = None) -> CycleStarted:
    """A cycle is asked for and has ended; how it began."""
    ticket: CycleTicket = cycles.start(cars.model, reason=reason, cause=ASKED)
    waits_for(ticket.cycle)
    assert cycles.view(ticket.cycle).status == "ended"
    begun = cars.ledger.read_stream(f"cycle-{ticket.cycle}").entries[0].event
    assert isinstance(begun, CycleStarted)
    return begun


def health(cars: CarLedger) -> Health:
    with cars.ledger.connect() as connection:
        return current_health(
            connection, cars.view(), now(), alarm=None, clock_skew_seconds_max=5.0
        )


def lives(cars: CarLedger, year: int) -> Decided:
    """A year is predicted, labelled and retrained after, and somebody takes a champion back."""
    before = cars.ledger.size() - 1
    cars.lives_through(year, force="whatever the clock says")
    champion = cars.view().champion
    assert year != YEARS[False][0] or champion == "car-price/2"
    if champion != "car-price/1":
        roll_back(cars.ledger, cars.model, to="car-price/1", reason="taken back", cause=ASKED)
    decided = [
        event
        for event in events_after(cars.ledger, before)
        if event[0].startswith(("cycle-car-price-", "model-car-price"))
    ]
    return [(stream, type, _without_present(data)) for stream, type, data in decided]


def drawn(random: Random) -> list[timedelta]:
    """Jumps by chance, of up to ten years."""
    reach = [SECOND, timedelta(hours=1), DAY, TEN_YEARS]
    return [random.uniform(-1, 1) * random.choice(reach) for _ in range(random.randrange(1, 9))]


def _without_present(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rollback measures at the moment it was asked for, and says so."""
    return {n: v for n, v in data.items() if (n, data.get("occasion")) != ("as_of", "rollback")}


def test_nothing_that_is_decided_hangs_on_the_clock_however_it_jumps(
    cars: CarLedger,
    clock: ToldClock,
    told_once: ToldOnce,
    steadily: Story,
    soaking: bool,
    say: Say,
) -> None:
    """Given a clock that jumps at every reading, when years are lived through, then all that is
    decided is what a steady clock's years decided."""
    random = Random(SEED)
    found: Decided = []
    for year in YEARS[soaking]:
        clock.jumps = drawn(random) if found else JUMPS
        found += lives(cars, year)
    assert found == told_once(steadily, Settings()).gives
    say(f"{len(found)} decisions of {len(YEARS[soaking])} years: those of a steady clock")


def test_the_order_is_whole_and_every_time_is_what_the_clock_told_in_any_zone(
    ledger: Ledger, settings: Settings, clock: ToldClock, soaking: bool
) -> None:
    """Given a clock that jumps at every reading and a host that is moved to zones in summer time,
    when entries are made and signed, then their places have no gap, no id comes twice, and nothing
    is found to be broken."""
    random = Random(SEED)
    zones = [random.choice(ZONES) for _ in range(ENTRIES_LONG)] if soaking else ZONES
    for number, zone in enumerate(zones):
        clock.jumps = drawn(random) if soaking else JUMPS
        with host_zone(zone):
            put(ledger, "observations-cars", observation(f"car={number}"))
            put(ledger, "model-cars", contract_adopted())
    checkpoints = Checkpoints(ledger, settings)
    checkpoints.sign()
    put(ledger, "observations-cars", observation("car=last"))
    checkpoints.sign()
    found = verify(ledger, checkpoints.signer.key)
    checkpoints.close()

    made = ledger.read(0)
    assert [entry.position for entry in made] == list(range(1, 2 * len(zones) + 2))
    for stream in ("observations-cars", "model-cars"):
        versions = [entry.stream_version for entry in made if entry.stream == stream]
        assert versions == list(range(len(versions)))
    ids = [entry.id for entry in made]
    assert ids == sorted(set(ids)), "those of one process go on where the clock goes back"
    recorded = [entry.recorded_at for entry in made]
    assert recorded != sorted(recorded), "a time is not bent to fit the order"
    assert set(recorded) <= set(clock.told)
    assert (found.whole, found.covered) == (True, ledger.size())


def test_a_cycle_that_is_open_when_the_clock_jumps_goes_on_as_it_was_asked_for(
    cars: CarLedger, cycles: Cycles, clock: ToldClock
) -> None:
    cars.answers(cars.rows([1976]))
    cut_off = cars.starts(year_end(1976))
    clock.jumps = JUMPS
    assert cycles.recover() == [cut_off]
    waits_for(cut_off)
    cycle = cars.cycle(2)
    assert (cycle.as_of, cycle.status, cycle.outcome) == (
        year_end(1976),
        "ended",
        "keep: rules not met",
    )


@pytest.mark.parametrize("ahead", [DAY, TEN_YEARS], ids=["a day", "ten years"])
def test_out_of_a_cycle_of_a_clock_that_ran_ahead_leads_a_reason_which_is_an_event(
    cars: CarLedger, cycles: Cycles, clock: ToldClock, ahead: timedelta
) -> None:
    """Given a cycle recorded while the clock ran ahead, when it is right again, then health says
    so, a cycle is refused with the way out, and with a reason it goes on and sets that one aside;
    from then on cycles go on without."""
    clock.ahead = ahead
    mistaken = asked(cars, cycles)
    assert mistaken.as_of > format_time(datetime.now(UTC) + ahead / 2)
    clock.ahead = timedelta()

    said = health(cars).sentence
    assert "by a clock that ran ahead" in said
    assert "run a cycle with a reason" in said
    with pytest.raises(
        CycleRefused, match=r"not come yet: .* give a reason .* aside car-price-2\."
    ):
        asked(cars, cycles)

    mended = asked(cars, cycles, reason="the host's clock ran ahead")
    assert mended.sets_aside == (mistaken.cycle,)
    assert (mended.reason, mended.as_of < mistaken.as_of) == ("the host's clock ran ahead", True)
    assert "clock" not in health(cars).sentence
    goes_on = asked(cars, cycles)
    assert (goes_on.sets_aside, goes_on.reason) == ((), None)
    assert mended.as_of <= goes_on.as_of
    assert [cars.cycle(n).status for n in (2, 3, 4)] == ["ended"] * 3
    assert verify(cars.ledger, None).whole


def test_a_clock_that_is_behind_for_a_while_stops_cycles_only_until_it_is_right_again(
    cars: CarLedger, cycles: Cycles, clock: ToldClock
) -> None:
    first = asked(cars, cycles)
    clock.ahead = -DAY
    with pytest.raises(CycleRefused, match="has not come yet"):
        asked(cars, cycles)
    clock.ahead = timedelta()
    later = asked(cars, cycles)
    assert later.as_of > first.as_of
    assert later.sets_aside == ()


def test_a_clock_set_back_by_less_than_clocks_may_differ_stops_no_cycle(
    cars: CarLedger, cycles: Cycles, clock: ToldClock
) -> None:
    """Given a cycle, when the host plays a leap second twice or is set right by as little, then
    the next one looks back from where the last did, and says why."""
    first = asked(cars, cycles)
    clock.ahead = -3 * SECOND
    again = asked(cars, cycles)
    assert again.as_of == first.as_of
    assert again.sets_aside == ()
    assert again.reason is not None
    assert "the clock went back" in again.reason
