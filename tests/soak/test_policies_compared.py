"""The shipped policies over the demo's fifteen windows, against an independent simulation.

All of it takes minutes of training, so it is the long form; the short one lives two years.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest

from app.audit.whatif import WhatIf
from app.cycle.whatif import relive
from app.cycle.whatif_runs import Run, what_ifs
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.decisions.rule_numbers import FIRST, NEWEST
from domain.events.events import Event, PredictionMade
from tests.app.car_ledger import CarLedger, document, year_end
from tests.plausible import an

NEVER = "never retrained"
AS_SIMULATED = dict(NEWEST) | {"holdout": FIRST}  # the draw that the simulation had
TOLERANCE = 0.001  # of RMSE, which are given to three decimals; car-price's .3005 is .300 or .301


class Figures(NamedTuple):
    """What must come of one policy."""

    trained: int
    promoted: int
    rmse: float  # mean over the years, on the logarithm of the target
    value: float | None  # against the first champion: thousand 1983 USD, million cars; None: any


@dataclass(frozen=True)
class Form:
    """The years that are lived again, and what must come of each policy."""

    years: range
    figures: dict[str, dict[str, Figures]]  # model -> policy


# For any-evidence on sales the simulation had 11 trained, 10 promoted, .962 and 13.1: the error
# clause of 1977 has p = .0485 (of 400,000 draws). Its 1,999 draws came to .052 and those here to
# .046, so here that model is retrained in one year more.
LONG = Form(
    range(1976, 1991),
    {
        "car-price": {
            NEVER: Figures(0, 0, 0.436, 0),
            "challenger": Figures(15, 15, 0.286, 1_920),
            "any-evidence": Figures(12, 12, 0.291, 1_881),
            "strict-and": Figures(10, 10, 0.293, 1_862),
            "strict-and-calibrated": Figures(11, 11, 0.301, 1_836),
        },
        "car-sales": {
            NEVER: Figures(0, 0, 1.097, 0),
            "challenger": Figures(15, 13, 0.935, 16.1),
            "any-evidence": Figures(12, 11, 0.955, 14.1),
            "strict-and": Figures(9, 8, 1.020, 6.3),
            "strict-and-calibrated": Figures(5, 5, 1.023, 6.0),
        },
    },
)
SHORT = Form(
    range(1976, 1978),
    {"car-price": {NEVER: Figures(0, 0, 0.285, 0), "challenger": Figures(2, 2, 0.256, None)}},
)
UNIT = {"car-price": (1_000, 1), "car-sales": (1_000_000, 0.1)}  # of values, and their last digit


@pytest.fixture(scope="module")
def form(request: pytest.FixtureRequest) -> Form:
    """All years under every policy, or a moment of them."""
    return LONG if request.config.getoption("--soak", default=False) else SHORT


def lives_on_paper(ledger: Ledger, settings: Settings, model: str, years: range) -> None:
    """The rows and the cycles of the demo, as they were asked for: nobody has trained anything."""
    cars = CarLedger(ledger, settings, model)
    cars.adopts().observes(cars.rows(range(1971, 1976)))
    cars.starts(year_end(1975), rules=AS_SIMULATED)
    target = cars.view().target
    guard = cars._guard()
    for year in years:
        rows = cars.rows([year])
        made: list[tuple[Event, str]] = [
            (
                an(
                    PredictionMade,
                    model=model,
                    identity=guard.identity_of(row),
                    row={name: value for name, value in row.items() if name != target},
                ),
                guard.event_time_of(row),
            )
            for row in rows
        ]
        asked = cars.append(f"predictions-{model}", made)
        cars._label(asked, [row[target] for row in rows])
        cars.starts(year_end(year), rules=AS_SIMULATED)


@pytest.fixture(scope="module")
def compared(form: Form, tmp_path_factory: pytest.TempPathFactory) -> list[WhatIf]:
    """What came of each policy, best first within each model."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("compared") / "state")
    ledger = open_ledger(settings)
    wanted = [
        (model, policy) for model, of in form.figures.items() for policy in of if policy != NEVER
    ]
    for model in form.figures:
        lives_on_paper(ledger, settings, model, form.years)
    shipped = {each: document("rules", "policies", f"{each}.yaml") for _, each in wanted}
    if form is LONG:
        ledger.close()
        cycles = 1 + len(form.years)
        return what_ifs(settings, [Run(model, shipped[each], cycles) for model, each in wanted])
    found = []
    for model, policy in wanted:
        apart = Settings(state_dir=tmp_path_factory.mktemp("apart") / "state")
        scratch = open_ledger(apart)
        found.append(relive(ledger, scratch, apart, model, shipped[policy]))
        scratch.close()
    ledger.close()
    return found


def test_each_policy_comes_to_the_figures_of_an_independent_simulation(
    compared: list[WhatIf], form: Form
) -> None:
    for found in compared:
        expected, unit = form.figures[found.model][found.policy], UNIT[found.model]
        assert len(found.judged) == len(form.years)
        assert found.left_out == {}
        assert (found.trained, found.promoted) == (expected.trained, expected.promoted), (
            found.policy
        )
        assert found.rmse == pytest.approx(expected.rmse, abs=TOLERANCE), found.policy
        assert found.first_rmse == pytest.approx(form.figures[found.model][NEVER].rmse, abs=0.001)
        assert found.value is not None
        if expected.value is not None:
            value = found.value / unit[0]
            assert value == pytest.approx(expected.value, abs=0.6 * unit[1]), found.policy


def test_gates_protect_better_than_triggers_and_calibration_costs_where_nothing_is_false(
    compared: list[WhatIf], form: Form
) -> None:
    for model, figures in form.figures.items():
        of_model = [found for found in compared if found.model == model]
        errors = [found.rmse for found in of_model if found.rmse is not None]
        values = [found.value for found in of_model if found.value is not None]
        assert errors == sorted(errors)
        assert values == sorted(values, reverse=True)
        assert max(errors) <= figures[NEVER].rmse + 0.001
        assert min(values) >= 0
