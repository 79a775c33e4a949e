"""What residuals say of a champion year by year, and what it was worth when its reign ended.

The real cars of 1976 to 1979, under the rules' first forms, to the figures that were found
independently of this code.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from app.audit.health import current_health
from app.audit.value import value_told
from app.cause import Cause
from app.cycle.promotions import roll_back
from app.cycle.reigns import reign_at
from app.cycle.value import Looked, measure_value
from app.ledger.streams import model_stream
from app.projections.champions import get_champion
from app.projections.opening import open_ledger
from app.projections.reigns import reigns_of
from app.serving.plan import load_plan
from app.settings import Settings
from domain.contract.contract import parse_contract
from domain.decisions.cycle import Cycle
from domain.events.events import ValueMeasured
from tests.app.car_ledger import CarLedger, moved_to, year_end
from tests.told import copied

ASKED = Cause.unauthenticated("asked")
YEARS = range(1976, 1980)
MEASURED = {"health": 2, "value": 2}  # every other rule in its first form, as the figures are


@dataclass(frozen=True, slots=True)
class Years:
    """A ledger that lived through the years, and what each cycle came to."""

    cars: CarLedger
    cycles: dict[int, Cycle]

    def log10_days(self, year: int) -> float:
        measured = self.cycles[year].drift
        assert measured is not None
        assert measured.residual_evidence is not None
        assert measured.residual_evidence.log_days is not None
        return measured.residual_evidence.log_days / math.log(10)


@pytest.fixture(scope="module")
def years(registry_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Years]:
    """`car-price/1` served until the cycle of 1977, `car-price/2` until that of 1979."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("years"))
    shutil.copy(registry_store, settings.state_dir / "mlflow.db")
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings).adopts()
    cars.observes(cars.rows(range(1971, 1976)))
    cars.runs(year_end(1975), rules=MEASURED)
    cycles = {}
    for year in YEARS:
        cars.answers(cars.rows([year]))
        cycles[year] = cars.runs(year_end(year), rules=MEASURED)
    yield Years(cars, cycles)
    ledger.close()


def test_the_residual_evidence_of_each_year_is_the_published_one(years: Years) -> None:
    found = [years.log10_days(year) for year in YEARS]
    assert found == pytest.approx([1.73, 3.21, 3.05, 4.42], abs=0.005)


def test_the_error_has_grown_in_the_years_in_which_it_was_found_to(years: Years) -> None:
    increases = [cycle.drift.error_increase for cycle in years.cycles.values() if cycle.drift]
    ratios = [each.error_ratio for each in increases if each]
    assert ratios == pytest.approx([1.316, 1.595, 1.569, 1.434], abs=5e-4)
    below = [each.error_increase_p for each in increases if each]
    assert [p is not None and p < 0.05 for p in below] == [False, True, True, False]


def test_the_facts_are_offered_to_the_policy(years: Years) -> None:
    decided = years.cycles[1979].decided
    assert decided is not None
    facts = decided.verdict.facts
    assert facts["residual_evidence"] == pytest.approx(10 ** years.log10_days(1979))
    assert facts["error_ratio"] == pytest.approx(1.434, abs=5e-4)
    assert facts["error_increase_p"] is not None


def test_a_reign_is_measured_to_its_end_to_the_dollar(years: Years) -> None:
    with years.cars.ledger.connect() as connection:
        first, second, third = reigns_of(connection, "car-price")
        told = value_told(connection, "car-price")
    assert (first.ended, first.value, first.note) == (True, None, "nobody served before it")
    assert (second.ended, second.labelled_rows, second.served_rows) == (True, 197, 197)
    assert (second.value, second.low, second.high) == pytest.approx((61_328, 23_911, 98_745), abs=1)
    assert (third.ended, third.note) == (False, "not measured yet")
    assert told.reigns[1].sentence == (
        "car-price/2 saved 61,328 1983 USD against car-price/1 [23,911 to 98,745], on 197 labelled "
        "of 197 rows served, by the labels that had come when its reign ended, as of 1980-01-01 "
        "00:00 UTC"
    )
    assert told.sentence == (
        "together they saved 61,328 1983 USD in 1 reign, each against who served before it"
    )


def test_every_cycle_measures_and_the_health_report_says_what_the_last_one_found(
    years: Years,
) -> None:
    stream = years.cars.ledger.read_stream("model-car-price")
    found = [e.event for e in stream.entries if isinstance(e.event, ValueMeasured)]
    assert [(each.model_version, each.occasion) for each in found] == [
        ("car-price/1", "cycle"),
        ("car-price/1", "promotion"),
        ("car-price/2", "cycle"),
        ("car-price/2", "promotion"),
    ]
    healths = [cycle.health for cycle in years.cycles.values()]
    assert [health and health.value for health in healths] == [None, None, found[2].value, None]
    with years.cars.ledger.connect() as connection:
        health = current_health(
            connection, years.cars.view(), year_end(1979), alarm=None, clock_skew_seconds_max=5.0
        )
    assert health.value.value == pytest.approx(61_328, abs=1)


def test_the_rows_that_entered_are_frozen_and_never_those_that_trained_or_judged(
    years: Years,
) -> None:
    ledger = years.cars.ledger
    trained = years.cars.cycle(1).state["cycle.candidate-trained"]
    holdout, entered = (
        {row[0] for row in orjson.loads(ledger.artefact(sha256))["rows"]}
        for sha256 in (
            trained["residuals_sha256"],
            years.cars.cycle(2).state["cycle.drift-measured"]["residuals_sha256"],
        )
    )
    training = set(orjson.loads(ledger.artefact(trained["identities_sha256"])))
    assert (len(holdout), len(entered)) == (38, 99)
    assert not holdout & training
    assert not entered & (holdout | training)


def test_a_rollback_begins_another_reign_and_measures_the_one_it_ends(
    years: Years, tmp_path: Path
) -> None:
    """And where whom it took away would have done better, it is that one a rollback brings back."""
    settings = Settings(state_dir=copied(years.cars.settings.state_dir, tmp_path / "state"))
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings)
    cars.answers(cars.rows([1980]))
    roll_back(
        ledger, "car-price", to="car-price/2", reason="to see", cause=Cause.unauthenticated("asked")
    )
    entries = ledger.read_stream("model-car-price").entries
    measured, back = entries[-2].event, entries[-1].event
    assert isinstance(measured, ValueMeasured)
    assert (measured.model_version, measured.occasion) == ("car-price/3", "rollback")
    assert measured.value == pytest.approx(-13_318, abs=1)
    with ledger.connect() as connection:
        taken_away = get_champion(connection, "car-price", "car-price/3").plan_sha256
    rows = moved_to(1981, cars.rows([1980], most=40))
    best = load_plan(ledger.artefact(taken_away)).predict_rows(rows).native.tolist()
    cars.answers([row | {"price": price} for row, price in zip(rows, best, strict=True)])
    state = cars.runs(year_end(1981), rules=MEASURED)
    with ledger.connect() as connection:
        reign = reign_at(connection, "car-price", before=ledger.size())
        last = reigns_of(connection, "car-price")[-1]
    assert reign is not None
    assert (reign.champion.model_version, reign.previous) == ("car-price/2", "car-price/3")
    assert state.drift is not None
    assert state.drift.residual_evidence is not None
    assert state.drift.residual_evidence.entered == 40  # not those of its first reign
    assert (last.since, last.labelled_rows) == (entries[-1].position, 40)
    assert back.type == "model.champion-rolled-back"
    cars.adopts(value_of_error={"per_unit": 7.0, "unit": "gold coins"})
    with ledger.connect() as connection:
        health = current_health(
            connection, cars.view(), year_end(1981), alarm=None, clock_skew_seconds_max=1e12
        )
    assert state.health is not None
    for reasons in (state.health.reasons, health.reasons):
        (said,) = [reason for reason in reasons if "has not paid" in reason]
        assert said.startswith("car-price/2 has not paid: value -")
        assert " 1983 USD, 95 % interval -" in said, "in the unit that it was measured in"
        assert said.endswith("; a rollback to car-price/3 would mend it"), "whom it is held against"
    ledger.close()


def test_rows_that_who_served_before_was_trained_on_are_left_out_of_the_value_and_counted(
    years: Years, tmp_path: Path
) -> None:
    """Given a rollback, when rows come again that the model taken away was made of, then nothing
    is said of what the other is worth against it: it would score what it has learnt."""
    settings = Settings(state_dir=copied(years.cars.settings.state_dir, tmp_path / "state"))
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings)
    roll_back(ledger, "car-price", to="car-price/2", reason="to see", cause=ASKED)
    cars.answers(cars.rows([1979]), labelled=False)
    with ledger.connect() as connection:
        reign = reign_at(connection, "car-price", before=ledger.size())
        assert reign is not None
        at = Looked(occasion="cycle", as_of=year_end(1979), up_to=ledger.size())
        contract = parse_contract(orjson.loads(cars.view().contract))
        found = measure_value(connection, reign, contract, at)
    assert (found.served_rows, found.labelled_rows, found.value) == (0, 0, None)
    assert found.note == (
        f"no row that it served has a label yet; {len(cars.rows([1979]))} rows are left out, which "
        "car-price/3 was trained on or judged by"
    )
    cars.append(model_stream("car-price"), [(found, year_end(1979))])
    with ledger.connect() as connection:
        told = value_told(connection, "car-price").reigns[-1].sentence
    assert told == f"car-price/2: no value, {found.note}"
    ledger.close()
