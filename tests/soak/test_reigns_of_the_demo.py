"""What residuals say and what champions were worth over the demo's fifteen years, to the digit.

Under the rules' first forms, whose holdouts the independent figures are of. The long form trains
both models again and again; the short one lives one year of prices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.projections.opening import open_ledger
from app.projections.reigns import reigns_of
from app.settings import Settings
from domain.events.cycle_events import DriftMeasured
from tests.app.car_ledger import CarLedger, year_end

FIRST_YEAR = 1976
MEASURED = {"health": 2, "value": 2}  # every other rule in its first form
RATIOS = {
    "car-sales": (
        *(1.083, 1.221, 1.092, 1.254, 1.509, 1.528, 1.408, 1.305),
        *(0.960, 1.130, 1.122, 1.157, 1.094, 1.190, 0.996),
    ),
    "car-price": (
        *(1.316, 1.595, 1.569, 1.434, 1.157, 0.912, 0.931, 1.024),
        *(0.998, 1.136, 1.380, 1.022, 1.147, 1.116, 0.892),
    ),
}
GROWN = {  # ratio > 1.1 and p < 0.05
    "car-sales": {1977, 1979, 1980, 1981, 1982, 1983},  # 1977: p = 0.0485 of 200,000 draws
    "car-price": {1977, 1978, 1986},
}
LOG10_DAYS = {  # up to the years of which only a bound is known
    "car-sales": (1.65, 2.06, 2.14, 2.43, 3.81, 7.02, 7.41, 2.37),
    "car-price": (1.73, 3.21, 3.05, 4.42, 4.84, 2.35, 2.47, 3.85, 3.97, 4.90, 2.99),
}
WORTH = {"car-sales": (), "car-price": (61_328, -13_318, 33_499, -16_860, 17_290, 72_616, 55_291)}


@pytest.fixture
def settings_of_sales(tmp_path: Path) -> Settings:
    """Another empty state directory."""
    (tmp_path / "sales").mkdir()
    return Settings(state_dir=tmp_path / "sales")


@dataclass(frozen=True)
class Lived:
    """One model's years: what each cycle measured, and what each ended reign was worth."""

    measured: tuple[DriftMeasured, ...]
    worth: tuple[float, ...]


def lived(settings: Settings, model: str, years: int) -> Lived:
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings, model)
    cars.adopts().observes(cars.rows(range(1971, 1976)))
    cars.runs(year_end(1975), rules=MEASURED)
    measured = []
    for year in range(FIRST_YEAR, FIRST_YEAR + years):
        cars.answers(cars.rows([year]))
        state = cars.runs(year_end(year), rules=MEASURED)
        assert state.drift is not None
        measured.append(state.drift)
    with ledger.connect() as connection:
        worth = [reign.value for reign in reigns_of(connection, model) if reign.ended]
    ledger.close()
    return Lived(tuple(measured), tuple(value for value in worth if value is not None))


def test_the_demo_comes_to_the_published_figures(
    sqlite_settings: Settings, settings_of_sales: Settings, soaking: bool
) -> None:
    compare(lived(sqlite_settings, "car-price", 15 if soaking else 1), "car-price")
    if soaking:
        compare(lived(settings_of_sales, "car-sales", 15), "car-sales")


def compare(found: Lived, model: str) -> None:
    years = len(found.measured)
    increases = [each.error_increase for each in found.measured if each.error_increase]
    ratios = [each.error_ratio for each in increases]
    assert ratios == pytest.approx(RATIOS[model][:years], abs=5e-4)
    grown = {
        FIRST_YEAR + n
        for n, each in enumerate(increases)
        if (each.error_ratio or 0) > 1.1 and (each.error_increase_p or 0) < 0.05
    }
    assert grown == {year for year in GROWN[model] if year < FIRST_YEAR + years}
    days = [each.residual_evidence.log_days for each in found.measured if each.residual_evidence]
    expected = LOG10_DAYS[model][:years]
    log10 = [(each or 0) / math.log(10) for each in days]
    assert log10[: len(expected)] == pytest.approx(expected, abs=0.006)
    assert all(each <= 2.335 for each in log10[len(expected) :])
    whole = WORTH[model] if years == 15 else ()
    assert found.worth[: len(whole)] == pytest.approx(whole, abs=1)
