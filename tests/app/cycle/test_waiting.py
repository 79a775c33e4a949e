"""A promotion that damage keeps from being made waits: it uses no attempt, and says why."""

from __future__ import annotations

from contextlib import closing

import pytest

from app.audit.waiting import waits_for
from app.cause import Cause
from app.cycle.starting import Cycles
from app.cycle.waiting import WAITS
from app.ledger.damage import settle_known
from domain.decisions.damage import SettleDamage
from domain.events.cycle_events import AttemptStarted
from domain.events.events import DamageFound
from tests.app.car_ledger import CarLedger, types_of, year_end
from tests.app.cycle.forked_worker import start_forked_worker
from tests.ledger_events import put
from tests.patience import HANGS_SECONDS, until


def said(cars: CarLedger) -> str | None:
    with cars.ledger.connect() as connection:
        return waits_for(connection, "car-price")


@pytest.mark.usefixtures("forked_workers")
def test_a_promotion_waits_for_damage_to_be_settled_however_often_it_is_taken_up(
    cars: CarLedger,
) -> None:
    cars.answers(cars.rows([1976]))
    cycle = cars.starts(year_end(1976), force="to promote")
    put(cars.ledger, "ledger", DamageFound(position=1, said="entry 1 is another."))
    assert said(cars) is None, "it has other things to do first"
    for _ in range(5):
        worker = start_forked_worker(cars.settings, cycle)
        assert worker.wait(HANGS_SECONDS) == WAITS
    there = types_of(cars.ledger, f"cycle-{cycle}")
    assert there.count(AttemptStarted.type) == 1
    assert there[-1] == "cycle.candidate-compared"
    assert str(said(cars)).startswith(f"{cycle} waits with its promotion: entry 1 is another. Noth")
    before = cars.view().champion
    with closing(Cycles(cars.ledger, cars.settings)) as cycles:
        cycles.recover()
        command = SettleDamage(how="accepted", reason="a copy shows what it said")
        settle_known(cars.ledger, command, Cause.unauthenticated("somebody"))
        until(lambda: cycles.view(cycle).status == "ended" and not cycles._watched(cycle))
    assert (said(cars), cars.view().champion != before) == (None, True)
    assert cycles.view(cycle).conclusion == "promoted"
