"""Which labelled rows are new to a cycle: those the last training could not have had."""

from __future__ import annotations

from app.cycle.steps.knowledge import Knowledge
from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import NEWEST
from tests.app.car_ledger import CarLedger, year_end

YEARS = (1971, 1972, 1973)
EARLIER = {rule: number for rule, number in NEWEST.items() if rule != "samples"}


def said(cycle: Cycle) -> tuple[float | None, int | None]:
    """The fact of the decision, and what the merge wrote down."""
    assert cycle.decided is not None
    merged = cycle.merged.new_samples if cycle.merged else None
    return cycle.decided.verdict.facts["new_samples"], merged


def test_history_that_came_in_at_once_is_new_year_by_year(new_cars: CarLedger) -> None:
    """Given one import of three years, when a cycle looks back from the end of each, then the rows
    of its year are new to it; by the first form of the rule none is after the first cycle."""
    cars = new_cars.adopts().observes(new_cars.rows(YEARS))
    counts = [len(cars.rows([year])) for year in YEARS]
    assert min(counts) > 0
    first = cars.runs(year_end(1971), force="history")
    second = cars.runs(year_end(1972), force="history")
    assert [said(first), said(second)] == [(n, n) for n in counts[:2]]
    third = cars.runs(year_end(1973), rules=EARLIER)
    assert said(third) == (0.0, None)
    started = cars.asked(year_end(1973))
    known = Knowledge(cars.ledger, cars.settings, started, cutoff=cars.ledger.size())
    assert known.new_samples == counts[2], "a cycle that trained nothing consumed nothing"


def test_a_late_label_of_an_earlier_year_is_new_too(new_cars: CarLedger) -> None:
    """Given a training on one year, when rows of that very year get their first label later, then
    they are new, beside those of the year that came in with it."""
    rows = new_cars.adopts().rows([1971])
    cars = new_cars.observes([*rows[:-5], *new_cars.rows([1972])])
    cars.runs(year_end(1971))
    cars.observes(rows[-5:])
    started = cars.asked(year_end(1972))
    known = Knowledge(cars.ledger, cars.settings, started, cutoff=cars.ledger.size())
    assert known.new_samples == 5 + len(cars.rows([1972]))


def test_a_correction_that_moves_a_row_in_time_makes_no_new_sample(new_cars: CarLedger) -> None:
    """Given rows named by car alone that a training had, when corrections move them past its end,
    then they are not new; those that it could not have, for the time they had then, are."""
    cars = new_cars.adopts(identity=["car_id"])
    had, later = (
        [row | {"car_id": 10_000 * year + n} for n, row in enumerate(cars.rows([year], most=40))]
        for year in (1971, 1973)
    )
    cars.observes([*had, *later])
    cars.runs(year_end(1971))
    cars.observes([row | {"year": 1972} for row in had[:30]])
    cars.observes([row | {"year": 1971} for row in later[:5]])
    started = cars.asked(year_end(1972))
    known = Knowledge(cars.ledger, cars.settings, started, cutoff=cars.ledger.size())
    assert len(known.trainable.rows) == 45
    assert known.new_samples == 5
