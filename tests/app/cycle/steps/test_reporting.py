"""The health report at a cycle's end: what it looks at by the number of its rule."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.cycle.steps.knowledge import Knowledge, Work
from app.cycle.steps.reporting import health, value_so_far
from app.cycle.stream import read_cycle
from app.ledger.streams import model_stream
from domain.decisions.rule_numbers import FIRST, NEWEST
from domain.events.cycle_events import HealthReported
from domain.events.events import ValueMeasured
from tests.app.car_ledger import CarLedger, year_end


def reported(
    cars: CarLedger, rules: Mapping[str, int]
) -> tuple[HealthReported, ValueMeasured | None]:
    """What a cycle that began under these rules would report."""
    cycle = cars.starts(year_end(1976), rules=dict(rules))
    state, history = read_cycle(cars.ledger, cycle)
    begun = Knowledge(cars.ledger, cars.settings, state.begun, history.entries[0].position)
    work = Work(begun, state, by_products=False)
    measured = value_so_far(begun, "cycle")
    return health(work, measured), measured


@pytest.mark.parametrize("rules", [NEWEST, {"health": FIRST, "value": FIRST}, {}])
def test_window_and_value_stand_in_the_report_by_the_rules_the_cycle_began_under(
    cars: CarLedger, rules: Mapping[str, int]
) -> None:
    cars.answers(cars.rows([1976]))

    report, measured = reported(cars, rules)

    newest = rules is NEWEST
    assert report.rmse_since_promotion is not None
    assert (report.window_error is not None) == newest
    assert (report.window_interval is not None) == newest
    assert (report.window_labelled > 0) == newest
    assert (measured is not None) == newest


def test_a_cycle_without_the_name_does_as_was_done_before_it_began(cars: CarLedger) -> None:
    """Given a champion that was measured, when a cycle that names no rule reports, it measures."""
    cars.answers(cars.rows([1976]))
    _, measured = reported(cars, NEWEST)
    assert measured is not None
    cars.append(model_stream(cars.model), [(measured, measured.as_of)])

    report, again = reported(cars, {})
    by_name, never = reported(cars, {"health": FIRST, "value": FIRST})

    assert again is not None
    assert report.window_labelled > 0
    assert never is None
    assert by_name.window_labelled == 0


def test_who_asks_which_rules_a_report_was_made_by_is_told_by_its_cycle(cars: CarLedger) -> None:
    cycle = cars.starts(year_end(1976))
    assert cars.cycle(int(cycle.rpartition("-")[2])).state["cycle.started"]["rules"] == NEWEST
    assert {"health", "value"} <= set(NEWEST)
