"""Killed just before or just after any of its appends, a cycle ends as if nothing had happened."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.cause import Cause
from app.cycle.run import run_cycle
from app.ledger.store import Ledger, StreamAppend
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from domain.decisions.cycle import Cycle
from domain.events.envelope import Recorded
from tests.app.car_ledger import CarLedger, bootstrapped, events_after, year_end
from tests.app.cycle.interrupted import Death, Interrupted, types_of

Story = list[tuple[str, str, Mapping[str, Any]]]
STEPS = [
    "cycle.window-guarded",
    "cycle.drift-measured",
    "cycle.decided",
    "cycle.data-merged",
    "cycle.candidate-trained",
    "cycle.parity-checked",
    "cycle.candidate-evaluated",
    "cycle.candidate-compared",
    "cycle.promotion-settled",
    "cycle.health-reported",
]
DEATHS = [(moment, step) for step in STEPS for moment in ("before", "after")]


@pytest.fixture(scope="session")
def undisturbed_bootstrap(
    registry_store: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """What a first cycle leaves that nobody kills."""
    state = tmp_path_factory.mktemp("undisturbed") / "state"
    state.mkdir()
    shutil.copy(registry_store, state / "mlflow.db")
    shutil.copy(sqlite_template, state / "ledger.db")
    settings = Settings(state_dir=state)
    ledger = open_ledger(settings)
    cars = bootstrapped(CarLedger(ledger, settings))
    found = events_after(ledger, cars.cycle(1).started_position)
    ledger.close()
    return found


def interrupted(cars: CarLedger, moment: str, step: str, cycle: str) -> None:
    """A process takes up the cycle and dies there."""
    doomed = (
        Interrupted(cars.ledger, before=step)
        if moment == "before"
        else Interrupted(cars.ledger, after=step)
    )
    with pytest.raises(Death):
        run_cycle(doomed, cars.settings, cycle)


def resumed(cars: CarLedger, cycle: str) -> Cycle:
    """Another process takes it up, knowing nothing but what is in the database."""
    fresh: Ledger = open_ledger(cars.settings)
    state = run_cycle(fresh, cars.settings, cycle)
    fresh.close()
    return state


def promotions(story: Story) -> int:
    return sum(kind == "model.candidate-promoted" for _, kind, _ in story)


def test_a_first_cycle_killed_before_and_after_every_append_comes_to_the_same_end(
    new_cars_on_both: CarLedger, undisturbed_bootstrap: Story
) -> None:
    cars = new_cars_on_both.adopts()
    cars.observes(cars.rows(range(1971, 1976)))
    cycle = cars.starts(year_end(1975))
    for moment, step in DEATHS:
        interrupted(cars, moment, step, cycle)
    assert resumed(cars, cycle).ended
    story = events_after(cars.ledger, cars.cycle(1).started_position)
    assert story == undisturbed_bootstrap
    assert promotions(story) == 1
    assert rebuild(cars.ledger).differing == ()


class Photographed(Ledger):
    """The ledger of another, which leaves its state directory as a death at an append would.

    Args:
        ledger: what it really is.
        state: its state directory.
        album: where the copies are kept, each under its moment and the type of an event.
    """

    def __init__(self, ledger: Ledger, state: Path, album: Path) -> None:
        vars(self).update(vars(ledger))
        self._state, self._album = state, album

    def append(
        self, appends: Sequence[StreamAppend], cause: Cause, **how: Any
    ) -> tuple[Recorded, ...]:
        """As ever, but with a copy before and one after."""
        self._keep("before", appends)
        recorded = super().append(appends, cause, **how)
        self._keep("after", appends)
        return recorded

    def _keep(self, moment: str, appends: Sequence[StreamAppend]) -> None:
        for step in types_of(appends) & set(STEPS):
            shutil.copytree(self._state, self._album / f"{moment}-{step}")


@pytest.fixture(scope="session")
def waiting_state(
    bootstrapped_state: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Story]:
    """A ledger whose 1977 cycle was started and waits; and what it leaves undisturbed.

    Beside it stand copies of how it was before and after each append of that cycle.
    """
    folder = tmp_path_factory.mktemp("waiting")
    state = folder / "state"
    shutil.copytree(bootstrapped_state, state)
    settings = Settings(state_dir=state)
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings)
    cars.lives_through(1976)
    cars.answers(cars.rows([1977]))
    cars.starts(year_end(1977))
    ledger.close()
    shutil.copytree(state, folder / "undisturbed")
    settings = Settings(state_dir=folder / "undisturbed")
    ledger = open_ledger(settings)
    run_cycle(Photographed(ledger, settings.state_dir, folder), settings, "car-price-3")
    story = events_after(ledger, CarLedger(ledger, settings).cycle(3).started_position)
    ledger.close()
    return state, story


@pytest.fixture
def waiting(
    waiting_state: tuple[Path, Story], tmp_path: Path
) -> Callable[[], tuple[CarLedger, Story]]:
    """A copy of it."""
    settings = Settings(state_dir=tmp_path / "state")

    def copy() -> tuple[CarLedger, Story]:
        shutil.copytree(waiting_state[0], settings.state_dir)
        return CarLedger(open_ledger(settings), settings), waiting_state[1]

    return copy


@pytest.mark.parametrize(("moment", "step"), DEATHS)
def test_a_retraining_killed_once_comes_to_the_same_end(
    waiting_state: tuple[Path, Story], tmp_path: Path, moment: str, step: str
) -> None:
    waiting, undisturbed = waiting_state
    settings = Settings(state_dir=tmp_path / "state")
    shutil.copytree(waiting.with_name(f"{moment}-{step}"), settings.state_dir)
    cars = CarLedger(open_ledger(settings), settings)
    left = {kind for _, kind, _ in events_after(cars.ledger, cars.cycle(3).started_position)}
    assert (step in left) == (moment == "after")
    assert resumed(cars, "car-price-3").ended
    story = events_after(cars.ledger, cars.cycle(3).started_position)
    assert story == undisturbed
    assert promotions(story) == 1
    assert cars.view().champion == "car-price/2"
    cars.ledger.close()


def test_rows_that_come_in_while_a_cycle_lies_dead_are_not_looked_at(
    waiting: Callable[[], tuple[CarLedger, Story]],
) -> None:
    cars, undisturbed = waiting()
    started = cars.cycle(3).started_position
    interrupted(cars, "after", "cycle.window-guarded", "car-price-3")
    late = [row | {"price": 99.0} for row in cars.rows([1977])]
    cars.observes(late).answers(late).refuses(1000)
    assert resumed(cars, "car-price-3").ended
    story = [told for told in events_after(cars.ledger, started) if told[0] == "cycle-car-price-3"]
    assert story == [told for told in undisturbed if told[0] == "cycle-car-price-3"]
    cars.ledger.close()


def test_a_cycle_that_has_ended_is_left_alone(cars: CarLedger) -> None:
    size = cars.ledger.size()
    assert resumed(cars, "car-price-1").ended
    assert cars.ledger.size() == size
