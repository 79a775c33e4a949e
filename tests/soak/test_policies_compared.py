"""The shipped policies over the demo's fifteen windows, against an independent simulation.

All of it takes minutes of training, so it is the long form; the short one lives two years.
"""

from __future__ import annotations

from dataclasses import dataclass

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

POLICIES = ("challenger", "any-evidence", "strict-and", "strict-and-calibrated")  # best first
NEVER = "never retrained"
COMPARED = (NEVER, *POLICIES)
AS_SIMULATED = dict(NEWEST) | {"holdout": FIRST}  # the draw that the simulation had
TOLERANCE = 0.02  # of RMSE: one year retrained sooner or later


@dataclass(frozen=True)
class Form:
    """The years that are lived again, and the mean yearly RMSE that must come of each policy."""

    years: range
    errors: dict[str, dict[str, float]]  # model -> policy -> on the logarithm of the target


LONG = Form(
    range(1976, 1991),
    {
        "car-price": dict(
            zip((NEVER, *POLICIES), (0.436, 0.286, 0.291, 0.293, 0.301), strict=True)
        ),
        "car-sales": dict(
            zip((NEVER, *POLICIES), (1.097, 0.935, 0.962, 1.020, 1.023), strict=True)
        ),
    },
)
SHORT = Form(range(1976, 1978), {"car-price": {NEVER: 0.285, POLICIES[0]: 0.256}})


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
        (model, policy) for model, of in form.errors.items() for policy in of if policy != NEVER
    ]
    for model in form.errors:
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


def test_each_policy_comes_to_the_error_of_an_independent_simulation(
    compared: list[WhatIf], form: Form
) -> None:
    for found in compared:
        expected = form.errors[found.model]
        assert len(found.judged) == len(form.years)
        assert found.left_out == {}
        assert found.rmse == pytest.approx(expected[found.policy], abs=TOLERANCE), found.policy
        assert found.first_rmse == pytest.approx(expected[NEVER], abs=0.001)


def test_gates_protect_better_than_triggers_and_calibration_costs_where_nothing_is_false(
    compared: list[WhatIf], form: Form
) -> None:
    for model in form.errors:
        of_model = [found for found in compared if found.model == model]
        errors = [found.rmse for found in of_model if found.rmse is not None]
        values = [found.value for found in of_model if found.value is not None]
        assert errors == sorted(errors)
        assert values == sorted(values, reverse=True)
        assert max(errors) <= form.errors[model][NEVER] + 0.001
        assert min(values) >= 0
