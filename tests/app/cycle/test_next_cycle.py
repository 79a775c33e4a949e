"""What an import says the next cycle would do is what the next cycle does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.cycle.next_cycle import next_cycle
from domain.errors import CycleRefused
from domain.times import parse_time
from tests.app.car_ledger import CarLedger, year_end
from tests.app.told_clock import DAY, SECOND, told_clock


def said_and_done(cars: CarLedger, since_the_last: timedelta) -> tuple[str, str]:
    """What is said of the next cycle that long after the last, and whom it judges or why none."""
    last = cars.view().last_as_of
    assert last is not None
    with told_clock() as clock:
        clock.ahead = parse_time(last) + since_the_last - datetime.now(UTC)
        said = next_cycle(cars.ledger, cars.model, 5.0)
        try:
            return said, str(cars.asked(None).champion)
        except CycleRefused as refused:
            return said, refused.message


@pytest.mark.parametrize("since", [DAY, -2 * SECOND])
def test_a_clock_that_went_back_by_less_than_clocks_differ_changes_nothing(
    cars: CarLedger, since: timedelta
) -> None:
    said, judged = said_and_done(cars, since)
    assert judged == "car-price/1"
    assert said.startswith("the next cycle would judge car-price/1 by the rows since 19")


def test_a_cycle_that_would_be_refused_is_told_as_refused_with_its_remedy(cars: CarLedger) -> None:
    said, refused = said_and_done(cars, -10 * DAY)
    said_first, _ = said.split(" is before the last cycle of 'car-price' (")
    assert said_first.startswith("the next cycle would be refused: as_of 1975-12-2")
    assert said.endswith(refused[refused.index(" is before the last cycle") :])


def test_where_what_serves_was_set_aside_the_model_would_begin_anew(new_cars: CarLedger) -> None:
    """Given a model whose only promotion was set aside by a cycle that judged nothing."""
    cars = new_cars.adopts()
    cars.observes(cars.rows(range(1971, 1976)))
    cars.runs(year_end(1975))
    cars.refuses(100_000)
    assert cars.sets_aside(year_end(1974), "the wrong year").halted is not None
    said = next_cycle(cars.ledger, cars.model, 5.0)
    assert said.startswith(
        "the next cycle would train car-price as if for the first time: car-price/1 serves and is "
        "not compared"
    )


def test_a_policy_that_was_never_adopted_decides_nothing(new_cars: CarLedger) -> None:
    cars = new_cars.adopts(policy="another")
    cars.observes(cars.rows([1975], most=5))
    assert "which was never adopted" in next_cycle(cars.ledger, cars.model, 5.0)
