"""A contract may ask for a refit after the gates: what serves then was not gated, and says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from app.audit.change import changes
from app.audit.cycle import cycle_told
from app.cycle.reigns import reign_at, served_rows, trained_on
from app.cycle.run import run_cycle
from app.cycle.whatif import relive
from app.ledger.erasures import erased_artefacts
from app.projections.champions import get_champion
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.proof.verify.verification import verify
from app.serving.plan import load_plan
from app.settings import Settings
from app.training.tracking import MlflowRegistry
from domain.decisions.cycle import Cycle, fold_state
from domain.events.cycle_events import CandidateRefitted, DriftMeasured
from domain.events.events import Row
from domain.events.gate_events import ParityChecked
from domain.events.residual_findings import RefitComparison
from tests.app.car_ledger import CarLedger, document, events_after, types_of, year_end
from tests.app.cycle.interrupted import Death, Interrupted
from tests.app.people import forgets, owned
from tests.plausible import TIME, an
from tests.told import copied

AFTER_GATES = "after gates"
FEW = 40  # cars a year


@dataclass(frozen=True, slots=True)
class Told:
    """A ledger in which the first champion was refitted, and two years after it."""

    cars: CarLedger
    first: Cycle
    second: Cycle
    third: Cycle

    @property
    def refit(self) -> CandidateRefitted:
        assert self.first.refitted is not None
        return self.first.refitted


@pytest.fixture(scope="module")
def promoted(
    registry_store: Path, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The state directory of a ledger in which `car-price/1` was promoted with a refit."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("promoted") / "state")
    settings.state_dir.mkdir()
    shutil.copy(registry_store, settings.state_dir / "mlflow.db")
    shutil.copy(sqlite_template, settings.state_dir / "ledger.db")
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings).adopts(refit=AFTER_GATES, **owned())
    cars.observes(of_nobody([*cars.rows(range(1971, 1975), most=30), *cars.rows([1975])]))
    cars.runs(year_end(1975))
    ledger.close()
    return settings.state_dir


@pytest.fixture(scope="module")
def told(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """1976 and 1977 are predicted, labelled and judged after it."""
    settings = Settings(state_dir=copied(promoted, tmp_path_factory.mktemp("told") / "state"))
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings)
    first = fold_state(cars.cycle(1).state)
    later = []
    for year in (1976, 1977):
        cars.answers(of_nobody(cars.rows([year], most=FEW)))
        later.append(runs(cars, cars.starts(year_end(year))))
    yield Told(cars, first, *later)
    ledger.close()


def of_nobody(rows: list[Row]) -> list[Row]:
    """These rows, as the contract of owned cars has them."""
    return [row | {"owner": None} for row in rows]


def runs(cars: CarLedger, cycle: str) -> Cycle:
    """The cycle to its end, telling MLflow nothing."""
    return run_cycle(cars.ledger, cars.settings, cycle, by_products=False)


@pytest.fixture
def again(told: Told, tmp_path: Path) -> Iterator[CarLedger]:
    """A copy of that ledger."""
    settings = Settings(state_dir=copied(told.cars.settings.state_dir, tmp_path / "state"))
    ledger = open_ledger(settings)
    yield CarLedger(ledger, settings)
    ledger.close()


def test_a_contract_that_does_not_ask_for_it_never_has_the_step(cars: CarLedger) -> None:
    assert CandidateRefitted.type not in types_of(cars.ledger, "cycle-car-price-1")


def test_the_refit_stands_between_the_gates_and_the_promotion(told: Told) -> None:
    assert types_of(told.cars.ledger, "cycle-car-price-1")[-5:] == [
        "cycle.candidate-evaluated",
        "cycle.candidate-compared",
        "cycle.candidate-refitted",
        "cycle.promotion-settled",
        "cycle.health-reported",
    ]


def test_it_is_fitted_on_training_and_holdout_rows_and_checked_for_parity_on_them(
    told: Told,
) -> None:
    merged, trained, refit = told.first.merged, told.first.trained, told.refit
    assert merged is not None
    assert trained is not None
    assert refit.parity is not None
    assert merged.holdout_rows > 0
    assert refit.passed
    assert (refit.rows, refit.holdout_rows) == (merged.merged_rows, merged.holdout_rows)
    assert (refit.parity.rows, refit.parity.passed) == (refit.rows, True)
    ledger = told.cars.ledger
    gated, whole = (
        set(orjson.loads(ledger.artefact(str(sha256))))
        for sha256 in (trained.identities_sha256, refit.identities_sha256)
    )
    assert gated < whole
    assert len(whole) == refit.rows
    rows = told.cars.rows([1976])
    plans = [load_plan(ledger.artefact(str(p))) for p in (trained.plan_sha256, refit.plan_sha256)]
    assert plans[0].predict_row(rows[0]).native != plans[1].predict_row(rows[0]).native


def test_its_event_says_that_it_was_not_gated_and_which_plan_was(told: Told) -> None:
    trained, refit = told.first.trained, told.refit
    assert trained is not None
    assert refit.gated_plan_sha256 == trained.plan_sha256 != refit.plan_sha256
    assert f"this plan was not gated, the gated plan is {trained.plan_sha256}" in refit.reason
    with told.cars.ledger.connect() as connection:
        shown = cycle_told(told.cars.cycle(1).state)
        promoted = next(c for c in changes(connection) if c.kind == "promoted")
    judged = f"{refit.holdout_rows} of them the holdout that judged the plan before"
    sentence = f". Refitted on {refit.rows} rows, {judged}: this plan was not gated, "
    assert sentence in shown.gates[-1].reason
    assert sentence in promoted.reason
    assert f" rows){sentence}" in promoted.sentence


def test_the_refitted_plan_is_promoted_with_the_reference_of_the_gated_one(told: Told) -> None:
    trained = told.first.trained
    assert trained is not None
    with told.cars.ledger.connect() as connection:
        champion = get_champion(connection, "car-price", "car-price/1")
    assert champion.plan_sha256 == told.refit.plan_sha256
    assert champion.reference_sha256 == trained.reference_sha256
    assert champion.trained_until == told.refit.trained_until >= trained.trained_until
    assert champion.registry_run == told.refit.registry_run != trained.registry_run
    guarded = told.second.guarded
    assert guarded is not None
    assert guarded.reference_end == trained.trained_until


def test_the_registry_keeps_both_runs_and_the_refit_says_what_it_is(told: Told) -> None:
    trained, refit = told.first.trained, told.refit
    assert trained is not None
    assert refit.registry_run is not None
    registry = MlflowRegistry(told.cars.settings.state_dir, TIME)
    client = registry._client
    tags = client.get_run(refit.registry_run).data.tags
    assert "not gated" in tags["whyledger.refit"]
    assert tags["whyledger.gated_plan_sha256"] == trained.plan_sha256
    assert "whyledger.refit" not in client.get_run(str(trained.registry_run)).data.tags


def test_rows_of_its_holdout_judge_it_no_more(told: Told) -> None:
    ledger = told.cars.ledger
    with ledger.connect() as connection:
        reign = reign_at(connection, "car-price", before=told.cars.cycle(3).started_position)
        assert reign is not None
        seen = trained_on(connection, reign.champion)
        served = served_rows(connection, reign, until=year_end(1977), up_to=ledger.size())
        assert len(served)
        assert not seen.among_rows(served.row_digests).any()
    assert len(seen) == told.refit.rows


def test_its_first_window_is_compared_with_the_gated_plan_and_later_ones_are_not(
    told: Told,
) -> None:
    assert told.first.drift is not None
    assert told.second.drift is not None
    assert told.third.drift is not None
    found = told.second.drift.refit_comparison
    assert found is not None
    assert found.rows == told.second.drift.labelled_rows == FEW
    assert found.rmse_refitted == pytest.approx(told.second.drift.champion_rmse, abs=1e-12)
    assert found.interval is not None
    assert found.rmse_gated is not None
    assert found.rmse_refitted is not None
    assert found.interval.estimate == pytest.approx(found.rmse_gated - found.rmse_refitted)
    assert found.rmse_gated != found.rmse_refitted
    assert told.first.drift.refit_comparison is None, "nobody served before it"
    assert told.third.drift.refit_comparison is None, "the first window was compared"
    error = cycle_told(told.cars.cycle(2).state).error
    assert "the refitted plan, which was not gated, has RMSE 0." in error
    assert f"on the {found.rows} labelled rows of its first window, the gated plan 0." in error


def test_a_window_without_labels_leaves_the_comparison_to_the_next(
    promoted: Path, tmp_path: Path
) -> None:
    settings = Settings(state_dir=copied(promoted, tmp_path / "state"))
    ledger = open_ledger(settings)
    cars = CarLedger(ledger, settings)
    compared: list[RefitComparison | None] = []
    for year, labelled in ((1976, False), (1977, True)):
        cars.answers(of_nobody(cars.rows([year], most=FEW)), labelled=labelled)
        state = runs(cars, cars.starts(year_end(year)))
        assert state.drift is not None
        compared.append(state.drift.refit_comparison)
    ledger.close()
    assert compared[0] is None
    assert compared[1] is not None
    assert compared[1].rows == FEW


def forced_until(cars: CarLedger, step: str) -> str:
    """A forced cycle of 1978 whose worker dies just before this step; its id."""
    cars.answers(of_nobody(cars.rows([1978])))
    cycle = cars.starts(year_end(1978), force="to see it refitted")
    with pytest.raises(Death):
        run_cycle(Interrupted(cars.ledger, before=step), cars.settings, cycle, by_products=False)
    return cycle


def test_where_the_refit_fails_its_parity_the_gated_plan_is_promoted(again: CarLedger) -> None:
    cycle = forced_until(again, CandidateRefitted.type)
    gated = again.cycle(4).state["cycle.candidate-trained"]
    why = "it does not equal its pipeline, so the gated plan is promoted as it was"
    refused = an(
        CandidateRefitted,
        candidate=gated["candidate"],
        passed=False,
        gated_plan_sha256=gated["plan_sha256"],
        plan_sha256=None,
        identities_sha256=None,
        parity=an(ParityChecked, passed=False),
        reason=why,
    )
    again.append(f"cycle-{cycle}", [(refused, year_end(1978))])
    state = runs(again, cycle)
    assert state.settled is not None
    assert state.settled.promoted
    view = again.view()
    assert (view.champion, view.plan_sha256) == (gated["candidate"], gated["plan_sha256"])
    assert view.trained_until == gated["trained_until"]
    with again.ledger.connect() as connection:
        champion = get_champion(connection, "car-price", gated["candidate"])
        seen = trained_on(connection, champion)
    assert len(seen) == gated["training_rows"]
    assert why in cycle_told(again.cycle(4).state).gates[-1].reason
    assert verify(again.ledger, None, retained=[], read_models=False).breaks == ()


def test_killed_around_the_refit_a_cycle_comes_to_the_same_end(
    again: CarLedger, tmp_path: Path
) -> None:
    cycle = forced_until(again, CandidateRefitted.type)
    settings = Settings(state_dir=copied(again.settings.state_dir, tmp_path / "undisturbed"))
    undisturbed = open_ledger(settings)
    run_cycle(undisturbed, settings, cycle, by_products=False)
    expected = events_after(undisturbed, again.cycle(4).started_position)
    undisturbed.close()
    for doomed in (
        Interrupted(again.ledger, after=CandidateRefitted.type),
        Interrupted(again.ledger, before="cycle.promotion-settled"),
    ):
        with pytest.raises(Death):
            run_cycle(doomed, again.settings, cycle, by_products=False)
    assert runs(again, cycle).ended
    assert events_after(again.ledger, again.cycle(4).started_position) == expected
    assert rebuild(again.ledger).differing == ()


def test_every_proof_holds_over_a_refit(told: Told) -> None:
    assert verify(told.cars.ledger, None, retained=[], read_models=True).breaks == ()


def test_erasing_a_row_of_the_holdout_reaches_the_identities_of_the_refit_and_no_reference(
    again: CarLedger, told: Told
) -> None:
    trained, refit = told.first.trained, told.refit
    assert trained is not None
    gated = set(orjson.loads(again.ledger.artefact(trained.identities_sha256)))
    whole = orjson.loads(again.ledger.artefact(str(refit.identities_sha256)))
    held = next(identity for identity in whole if identity not in gated)
    row = next(row for row in again.rows([1975]) if held == f"year=1975|car_id={row['car_id']}")
    found = forgets(again, row)
    assert found.event is not None
    assert refit.identities_sha256 in found.event.artefacts
    assert trained.identities_sha256 not in found.event.artefacts
    assert (found.champion, found.reference_erased) == ("car-price/1", False)
    with again.ledger.connect() as connection:
        assert refit.identities_sha256 in erased_artefacts(connection)
        seen = trained_on(connection, get_champion(connection, "car-price", "car-price/1"))
    assert seen.among([each for each in whole if each != held]).all(), (
        "every row that its cycle could have read"
    )
    assert verify(again.ledger, None, retained=[], read_models=False).breaks == ()


def test_a_what_if_refits_as_the_cycle_did(
    again: CarLedger, tmp_path: Path, sqlite_template: Path
) -> None:
    apart = Settings(state_dir=tmp_path / "apart")
    apart.state_dir.mkdir()
    shutil.copy(sqlite_template, apart.state_dir / "ledger.db")
    scratch = open_ledger(apart)
    policy = document("rules", "policies", "strict-and.yaml")
    relive(again.ledger, scratch, apart, "car-price", policy, lambda *_: None)
    lived = CarLedger(scratch, apart)
    assert lived.view().plan_sha256 == again.view().plan_sha256
    for number in (1, 2, 3):
        for kind in (CandidateRefitted.type, DriftMeasured.type):
            ours, theirs = (each.cycle(number).state.get(kind) for each in (lived, again))
            for state in (ours, theirs):
                (state or {}).pop("registry_run", None)
            assert ours == theirs
    scratch.close()
