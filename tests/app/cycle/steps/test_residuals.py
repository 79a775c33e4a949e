"""Residuals of alike rows enter a champion's evidence as one value a block: told with real cars."""

from __future__ import annotations

import math

import orjson
import pytest

from domain.decisions.cycle import Cycle
from domain.decisions.rule_numbers import FIRST, NEWEST
from domain.events.residual_findings import ResidualEvidence
from domain.residuals.blocks import Hearing
from domain.residuals.evidence import advance, begun
from domain.residuals.frozen import Residual, from_document
from tests.app.car_ledger import CarLedger, moved_to, year_end

BY_ROWS = dict(NEWEST) | {"evidence": FIRST}


def kept(cars: CarLedger, number: int, event: str) -> tuple[Residual, ...]:
    """The frozen residuals that this event of the cycle names."""
    sha256 = cars.cycle(number).state[event]["residuals_sha256"]
    return from_document(orjson.loads(cars.ledger.artefact(sha256))) if sha256 else ()


def evidence_of(cycle: Cycle) -> ResidualEvidence:
    assert cycle.drift is not None
    assert cycle.drift.residual_evidence is not None
    return cycle.drift.residual_evidence


def test_a_group_enters_once_as_the_mean_of_its_rows_and_the_holdout_is_taken_alike(
    cars_in_groups: CarLedger,
) -> None:
    cars = cars_in_groups
    some = cars.rows([1976], most=20)
    rows = [*some, *moved_to(1976, some)]  # each group twice or more often; fewer than retrain
    found = evidence_of(cars.answers(rows).runs(year_end(1976)))

    holdout = Hearing(kept(cars, 1, "cycle.candidate-trained"), "group")
    entered = Hearing(kept(cars, 2, "cycle.drift-measured"), "group")
    expected = advance(begun(holdout), entered, model_version="car-price/1", days=found.days)
    assert entered.rows >= 2 * entered.values > 2
    assert len(entered.blocks | holdout.blocks) == entered.values + holdout.values
    assert (found.holdout_rows, found.entered) == (holdout.values, entered.values)
    assert found.memory == found.holdout_rows + found.entered
    assert found.log_days == pytest.approx(expected.log_days, abs=1e-12)
    assert found.note == (
        f"cannot see a change present at promotion: {holdout.values} groups of holdout "
        "residuals were frozen then, and 200 are needed"
    )

    assert cars.view().champion == "car-price/1"
    again = evidence_of(cars.answers(moved_to(1977, rows)).runs(year_end(1977)))
    assert (again.entered, again.memory) == (0, found.memory)
    assert again.skipped == found.skipped + len(rows)


def test_what_was_won_on_alike_rows_one_by_one_is_left_when_they_enter_as_one(
    cars_in_groups: CarLedger,
) -> None:
    cars = cars_in_groups
    cars.answers(cars.rows([1976], most=40))
    by_rows = evidence_of(cars.runs(year_end(1976), rules=BY_ROWS))
    assert by_rows.entered == len(kept(cars, 2, "cycle.drift-measured")) > 1
    by_groups = evidence_of(cars.runs(year_end(1977)))  # nothing new came
    assert by_groups.log_days == pytest.approx(math.log(by_groups.days), abs=1e-9)
    assert by_groups.memory < by_rows.memory
