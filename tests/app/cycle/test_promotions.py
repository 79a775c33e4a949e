"""Who serves: promotion and rollback, on both databases."""

from __future__ import annotations

import hashlib

import pytest

from app.cause import Cause
from app.cycle.promotions import roll_back, settle_promotion
from app.ledger.damage import record_damage, settle_known
from app.ledger.met_damage import Met
from app.ledger.store import Artefact, Ledger, StreamHistory
from app.projections.models import get_model
from app.projections.opening import open_ledger
from app.serving.plan import PlanInvalid
from domain.canonical import sha256_hex
from domain.decisions.damage import SettleDamage
from domain.decisions.lifecycle import Champion, PromoteCandidate, fold
from domain.errors import (
    LedgerDamaged,
    RollbackRefused,
    UnknownModel,
    UnknownThing,
    VersionConflict,
)
from domain.events.events import ContractAdopted
from tests.app.car_ledger import CarLedger, types_of, year_end
from tests.app.cycle.held_up_rows import hold_up_rows
from tests.app.cycle.interrupted import Interrupted
from tests.ledger_events import contract_adopted, promoted, put, started

PLAN = b"no plan at all"


def candidate(ledger: Ledger, plan: bytes, version: str = "cars/2") -> PromoteCandidate:
    """A command to promote a plan that the ledger holds."""
    return PromoteCandidate(
        model="cars",
        candidate=Champion(
            model_version=version,
            plan_sha256=sha256_hex(plan),
            reference_sha256=sha256_hex(b""),
            trained_until="1976-07-01T00:00:00.000001Z",
            registry_run=None,
        ),
        compared_with=None,
        serves=None,
        cycle="cars-1",
        as_of="1977-01-01T00:00:00.000000Z",
    )


def settle(ledger: Ledger, command: PromoteCandidate, version: int = 0) -> None:
    cause = Cause("local:unauthenticated", "c", causation_id="d")
    settle_promotion(ledger, command, StreamHistory("cycle-cars-1", (), version), cause)


def champion_of(ledger: Ledger, model: str) -> str | None:
    with ledger.connect() as connection:
        view = get_model(connection, model)
    return view.champion if view else None


def champions_of(cars: CarLedger) -> tuple[Champion, ...]:
    """Every version that ever served, as the model's stream tells it."""
    entries = cars.ledger.read_stream(f"model-{cars.model}").entries
    return fold(entry.event for entry in entries).champions


def test_a_plan_that_does_not_load_is_never_promoted(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    artefact = Artefact(sha256_hex(PLAN), "plan", PLAN)
    put(ledger, "cycle-cars-1", started(1), artefacts=[artefact])
    size = ledger.size()
    with pytest.raises(PlanInvalid):
        settle(ledger, candidate(ledger, PLAN))
    assert (ledger.size(), champion_of(ledger, "cars")) == (size, None)


def test_a_plan_that_was_never_stored_is_never_promoted(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    with pytest.raises(UnknownThing, match=f"no artefact {hashlib.sha256(PLAN).hexdigest()}"):
        settle(ledger, candidate(ledger, PLAN))
    assert types_of(ledger, "cycle-cars-1") == ["cycle.started"]


def test_a_cycle_that_went_on_elsewhere_is_not_settled_twice(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    put(ledger, "model-cars", promoted("cars/1", "cars-1"))
    with pytest.raises(VersionConflict, match="'cycle-cars-1' is at version 0, not -1"):
        settle(ledger, candidate(ledger, PLAN), version=-1)
    assert types_of(ledger, "cycle-cars-1") == ["cycle.started"]


def test_a_model_nobody_knows_has_no_earlier_champion(ledger: Ledger) -> None:
    with pytest.raises(UnknownModel, match="model 'planes' is unknown"):
        roll_back(ledger, "planes", to="planes/1", reason="-", cause=Cause.unauthenticated("c"))


def test_a_contract_adopted_at_that_moment_does_not_stop_a_promotion(cars: CarLedger) -> None:
    from app.cycle.run import run_cycle

    cars.answers(cars.rows([1976]))
    cycle = cars.starts(year_end(1976), force="to promote")
    other = CarLedger(open_ledger(cars.settings), cars.settings)

    def adopt() -> None:
        other.adopts(margin=0.25)

    meddled = Interrupted(cars.ledger, before="cycle.promotion-settled", then=adopt)
    state = run_cycle(meddled, cars.settings, cycle)
    other.ledger.close()
    assert state.compared is not None
    assert state.compared.passed
    assert cars.view().champion == "car-price/2"
    assert types_of(cars.ledger, "model-car-price")[-3:] == [
        ContractAdopted.type,
        "champion.value-measured",
        "model.candidate-promoted",
    ]


def test_any_earlier_champion_may_serve_again_with_a_reason(
    new_cars_on_both: CarLedger,
) -> None:
    from tests.app.car_ledger import bootstrapped

    cars = bootstrapped(new_cars_on_both)
    first = cars.view()
    cars.lives_through(1976, force="a second champion")
    cars.lives_through(1977, force="a third champion")
    versions = ["car-price/1", "car-price/2", "car-price/3"]
    assert [champion.model_version for champion in champions_of(cars)] == versions
    for to in ("car-price/1", "car-price/3", "car-price/2", "car-price/1"):
        entry = roll_back(
            cars.ledger,
            "car-price",
            to=to,
            reason="customers complained",
            cause=Cause.unauthenticated("c"),
        )
        assert cars.view().champion == to
        assert cars.view().promoted_position == entry.position
    back = cars.view()
    assert back.rollbacks == 4
    assert (back.plan_sha256, back.reference_sha256, back.trained_until, back.registry_run) == (
        first.plan_sha256,
        first.reference_sha256,
        first.trained_until,
        first.registry_run,
    )
    for to, because in {
        "car-price/1": "it serves already",
        "car-price/9": "it never was champion",
    }.items():
        with pytest.raises(RollbackRefused, match=because):
            roll_back(
                cars.ledger,
                "car-price",
                to=to,
                reason="",
                cause=Cause.unauthenticated("c"),
            )


def test_a_rollback_waits_for_no_figure(cars: CarLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given rows that are not folded in time, it is made, and what its champion was worth is left
    out rather than measured on fewer rows."""
    cars.lives_through(1976, force="a second champion")
    hold_up_rows(cars.ledger, monkeypatch)

    roll_back(
        cars.ledger, "car-price", to="car-price/1", reason="now", cause=Cause.unauthenticated("c")
    )

    assert cars.view().champion == "car-price/1"
    assert types_of(cars.ledger, "model-car-price")[-2:] == [
        "model.candidate-promoted",
        "model.champion-rolled-back",
    ]


def test_damage_that_is_met_while_a_figure_is_taken_refuses_a_rollback(
    cars: CarLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    cars.lives_through(1976, force="a second champion")

    def damaged(*_: object) -> None:
        raise LedgerDamaged("entry 7 was edited. Restore the database from a back-up.")

    monkeypatch.setattr("app.cycle.promotions.measure_value", damaged)
    with pytest.raises(LedgerDamaged, match="entry 7 was edited"):
        roll_back(
            cars.ledger, "car-price", to="car-price/1", reason="-", cause=Cause.unauthenticated("c")
        )
    assert cars.view().champion == "car-price/2"


def test_a_rollback_to_a_plan_that_is_damaged_is_refused(cars: CarLedger) -> None:
    from sqlalchemy import text

    cars.lives_through(1976, force="a second champion")
    with cars.ledger.engine.connect() as connection:
        connection.execute(text("DROP TRIGGER artefacts_refuse_update"))
        connection.execute(
            text("UPDATE artefacts SET bytes = x'00' WHERE sha256 = :sha256"),
            {"sha256": champions_of(cars)[0].plan_sha256},
        )
        connection.commit()
    with pytest.raises(LedgerDamaged, match="Restore the database from a back-up"):
        roll_back(
            cars.ledger,
            "car-price",
            to="car-price/1",
            reason="no",
            cause=Cause.unauthenticated("c"),
        )
    assert cars.view().champion == "car-price/2"


def test_nothing_is_promoted_while_damage_stands(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    cause = Cause.unauthenticated("a reader")
    ledger.met.add(Met(1, "ledger entry 1: the stored bytes are others."))
    for _ in ("in this process's memory", "in the ledger's words"):
        with pytest.raises(LedgerDamaged, match="Nothing is promoted and nothing is signed until"):
            settle(ledger, candidate(ledger, PLAN))
        record_damage(ledger, cause)
    assert champion_of(ledger, "cars") is None
    settle_known(ledger, SettleDamage(how="accepted", reason="a copy shows what it said"), cause)
    with pytest.raises(UnknownThing, match="no artefact"):  # so far it comes now
        settle(ledger, candidate(ledger, PLAN))
