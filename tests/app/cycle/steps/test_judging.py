"""What the drift step leaves and what is said of it: told with real cars."""

from __future__ import annotations

from statistics import mean

import numpy as np
import orjson
import pytest

from app.audit.clauses import clauses_of
from domain.canonical import digest
from domain.decisions.rule_numbers import FIRST, NEWEST
from domain.drift.blocks import exchange_blocks, exchange_runs
from domain.drift.clean_rate import clean_rate
from domain.drift.dependence import bins_of
from domain.drift.reference import Reference, reference_from_document
from domain.events.events import Row
from tests.app.car_ledger import CarLedger, bootstrapped, year_end


def champions_reference(cars: CarLedger) -> tuple[str, Reference]:
    sha256 = cars.view().reference_sha256
    assert sha256 is not None
    return sha256, reference_from_document(orjson.loads(cars.ledger.artefact(sha256)))


def rates_of(reference: Reference, sha256: str) -> list[float]:
    """The clean rates of windows of 50, 100, 200 and 1,000 rows: means of five.

    One alone comes of 200 windows, drawn by the reference's digest, and so by the processor that
    trained: it is right to about .1.
    """
    drawn_by = [digest([sha256, again]) for again in range(5)]
    return [
        mean(clean_rate(reference, by, rows) for by in drawn_by) for rows in (50, 100, 200, 1_000)
    ]


def in_order(cars: CarLedger, rows: list[Row]) -> list[Row]:
    """The rows of one year, all of one event time, as the ledger orders them: by identity."""
    return sorted(rows, key=cars._guard().identity_of)


def test_the_clause_on_the_training_target_says_how_often_it_holds_on_unchanged_data(
    cars_as_published: CarLedger,
) -> None:
    cars = cars_as_published
    state = cars.answers(cars.rows([1976])).runs(year_end(1976))
    assert state.drift is not None
    assert state.decided is not None
    assert state.drift.clean_rate == pytest.approx(0.27, abs=0.1)
    [clause] = [
        said
        for said in clauses_of(state.decided.verdict.clauses)
        if said.fact == "prediction_drift_p"
    ]
    assert clause.note.startswith("holds on unchanged data in about ")
    assert clause.note.endswith(" of 10 windows: says little")
    assert clause.shown == f"0.1058 ({clause.note})"
    others = {said.note for said in state.decided.verdict.clauses if said.fact != clause.fact}
    assert others == {""}


def test_on_the_demo_the_clause_says_nothing_in_a_large_window(
    cars_as_published: CarLedger,
) -> None:
    cars = cars_as_published
    sha256 = cars.view().reference_sha256
    assert sha256 is not None
    document = orjson.loads(cars.ledger.artefact(sha256))
    assert (document["format"], document["transform"]) == ("whyledger.reference/2", "log")
    reference = reference_from_document(document)
    assert rates_of(reference, sha256) == pytest.approx([0.15, 0.27, 0.43, 0.95], abs=0.06)


def test_the_sales_of_cars_have_clean_rates_of_their_own(new_cars: CarLedger) -> None:
    """Of the champion trained on the published draw. Trained on the newer one (rule `holdout`) it
    has .12 .35 .85 1.00, and without any holdout .13 to .15, .38 to .46, .90 and 1.00: another
    holdout is another reference, and a rate between its ends is right to about .1."""
    sales = CarLedger(new_cars.ledger, new_cars.settings, "car-sales")
    sha256, reference = champions_reference(
        bootstrapped(sales, rules=dict(NEWEST) | {"holdout": FIRST})
    )
    assert rates_of(reference, sha256) == pytest.approx([0.06, 0.30, 0.92, 1.0], abs=0.06)


def test_rows_that_follow_each_other_are_put_in_order_before_runs_are_exchanged(
    new_cars: CarLedger,
) -> None:
    cars = bootstrapped(new_cars, blocks="serial")
    sha256, reference = champions_reference(cars)
    rows = in_order(cars, cars.rows([1976]))

    state = cars.answers(rows[::-1]).runs(year_end(1976))

    assert state.drift is not None
    assert state.drift.report is not None
    report = state.drift.report
    assert (report.test, state.drift.reference_sha256) == ("serial", sha256)
    assert reference.dependence is not None
    window = [bins_of(f, [row.get(f.name) for row in rows]) for f in reference.features]
    expected = exchange_runs(reference.dependence.bins, window)
    assert [found.p_value for found in report.features] == list(expected.p_values)
    assert report.too_few == expected.low_power
    assert len(reference.dependence.bins[0]) == reference.rows
    evidence = state.drift.residual_evidence
    assert evidence is not None
    assert evidence.entered + evidence.skipped == len(rows)  # each row for itself


def test_groups_are_exchanged_by_draws_that_reference_and_cycle_alone_begin(
    cars_in_groups: CarLedger,
) -> None:
    """As the champion's contract names the groups, though a later one calls a column of three
    values the group."""
    cars = cars_in_groups
    sha256, reference = champions_reference(cars)
    rows = in_order(cars, cars.rows([1976]))
    cars.adopts(blocks="group", group="region")

    state = cars.lives_through(1976)

    assert state.drift is not None
    assert state.drift.report is not None
    assert reference.dependence is not None
    groups = [str(row["vintage_id"]) for row in rows]
    assert len(set(reference.dependence.blocks)) > len(set(groups)) > 5
    expected = exchange_blocks(
        reference.dependence.bins,
        [bins_of(f, [row.get(f.name) for row in rows]) for f in reference.features],
        np.array(reference.dependence.blocks, np.int64),
        groups,
        seed=f"whyledger.blocks/1|{sha256}|car-price-2",
    )
    found = [feature.p_value for feature in state.drift.report.features]
    assert state.drift.report.test == "group"
    assert found == list(expected.p_values)
    increase = state.drift.error_increase
    assert increase is not None
    assert increase.groups == len(set(groups))


def test_a_year_whose_rows_are_one_day_cannot_say_no_drift(cars: CarLedger) -> None:
    cars.adopts(blocks="day").observes(cars.rows([1976])).runs(year_end(1976), force="days differ")
    assert cars.view().champion == "car-price/2"

    state = cars.lives_through(1977)

    assert state.drift is not None
    assert state.drift.report is not None
    assert state.drift.report.test == "day"
    assert state.drift.report.too_few == "1 block in the window: too few to tell"
    assert state.drift.report.low_power
    evidence = state.drift.residual_evidence
    assert evidence is not None
    assert evidence.entered == 1
    assert "days of holdout residuals were frozen then" in evidence.note


def test_until_the_next_training_rows_are_taken_as_the_champion_was_trained(
    cars: CarLedger,
) -> None:
    state = cars.adopts(blocks="group").lives_through(1976)
    assert state.drift is not None
    assert state.drift.report is not None
    assert state.drift.report.test == "chi-square"
