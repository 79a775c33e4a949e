"""What a page, a list, a health report or the start of a cycle costs does not grow with what
happened before.

Counted in steps of SQLite's machine: the same statements are made for PostgreSQL.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from app.cause import Cause
from app.clock import new_id
from app.cycle.reigns import reign_at, who_serves
from app.ledger.store import Ledger, StreamAppend
from app.projections.cycles_that_count import basis
from app.projections.models import get_model
from app.settings import Settings
from domain.events.cycle_events import (
    Conclusion,
    CycleHalted,
    CycleStarted,
    Decided,
    DriftMeasured,
    HealthReported,
    Outcome,
)
from domain.events.events import ValueMeasured
from domain.events.verdicts import verdict_sentence
from tests import ledger_events as events
from tests.app.http.routes.running import adopt, process_behind, running, serve_champion
from tests.plausible import CLAUSE, VERDICT, an
from tests.sql_steps import SqlSteps, machine_steps

MODEL: Final = "car-price"
FEW, MANY = 60, 240  # decisions; more than any page shows
ROWS_A_DECISION: Final = 20
DAYS: Final = 10  # that the rows are of, so that their number alone grows
GROWTH_MAX: Final = 1.2
RARE: Final[Outcome] = "keep: no drift"
USUAL: Final[Outcome] = "keep: rules not met"
CSV: Final = (
    b"year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    b"1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802\n"
)
DOORS: Final = (
    "/",
    "/models",
    f"/models/{MODEL}",
    f"/models/{MODEL}/health",
    f"/models/{MODEL}/cycles?limit=10",
    "/audit/decisions?limit=10",
    f"/audit/decisions?limit=10&model={MODEL}",
    f"/audit/decisions?limit=10&outcome={RARE}",
    f"/audit/decisions?limit=10&model={MODEL}&outcome={RARE}",
    f"/audit/decisions?limit=10&model={MODEL}&outcome=retrain",
    "/audit/decisions?limit=10&to=1977-01-08T00:00:00Z",
    f"/audit/decisions?limit=10&model={MODEL}&from=1977-01-02T00:00:00Z&to=1977-01-08T00:00:00Z",
    "/audit/changes?limit=10",
    f"/audit/changes?limit=10&model={MODEL}",
    "/readyz",
    SENT := f"/models/{MODEL}/datasets/{hashlib.sha256(CSV).hexdigest()}",
    UNSENT := f"/models/{MODEL}/datasets/{'0' * 64}",
)
LEFT: Final = "what earlier cycles leave a next one to start from"
SERVES: Final = "who serves and since when, which a cycle asks where it ends"


def as_of(number: int) -> str:
    return f"{1977 + (number - 1) // 28:04d}-01-{(number - 1) % 28 + 1:02d}T00:00:00.000000Z"


def live(ledger: Ledger, first: int, last: int) -> None:
    """Kept and halted cycles, each with rows that were answered, half of them labelled since."""
    with ledger.connect() as connection:
        model = get_model(connection, MODEL)
    assert model is not None
    for number in range(first, last + 1):
        outcome: Outcome = RARE if number == 1 else USUAL
        verdict = replace(VERDICT, retrain=False)
        halts = number % 4 == 0
        conclusion: Conclusion = "halted" if halts else "kept"
        started = an(
            CycleStarted,
            cycle=f"{MODEL}-{number}",
            model=MODEL,
            number=number,
            as_of=as_of(number),
            contract_digest=model.contract_digest,
            champion=model.champion,
            serves=model.champion,
        )
        decided = an(
            Decided,
            outcome=outcome,
            verdict=verdict,
            sentence=verdict_sentence(outcome, (CLAUSE,)),
        )
        reported = an(HealthReported, conclusion=conclusion, champion=model.champion)
        steps = (an(CycleHalted),) if halts else (an(DriftMeasured), decided)
        events.put(
            ledger, f"cycle-{MODEL}-{number}", started, *steps, reported, occurred_at=as_of(number)
        )
        worth = an(ValueMeasured, model=MODEL, model_version=model.champion)
        events.put(ledger, f"model-{MODEL}", worth)
        answered(ledger, number, str(model.champion))


def answered(ledger: Ledger, number: int, champion: str) -> None:
    made = [
        events.new(
            events.prediction(f"car={number}-{row}", MODEL, champion),
            occurred_at=f"1976-07-{row % DAYS + 1:02d}T00:00:00.000000Z",
        )
        for row in range(ROWS_A_DECISION)
    ]
    labels = [
        events.new(events.outcome(new.id, f"car={number}-{row}", MODEL))
        for row, new in enumerate(made)
        if row % 2
    ]
    ledger.append(
        [
            StreamAppend(f"predictions-{MODEL}", tuple(made), None),
            StreamAppend(f"observations-{MODEL}", tuple(labels), None),
        ],
        Cause.unauthenticated(new_id()),
    )


@pytest.fixture(scope="module")
def measured(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[int, int]]:
    """The steps of a door after a few decisions, and after four times as many."""
    directory = tmp_path_factory.mktemp("history")
    shutil.copy(sqlite_template, directory / "ledger.db")
    settings = Settings(
        database_url=f"sqlite:///{directory / 'ledger.db'}", state_dir=directory / "state"
    )
    with running(settings) as client:
        adopt(client)
        serve_champion(client)
        sent = client.post(
            SENT.rpartition("/")[0], content=CSV, headers={"Content-Type": "text/csv"}
        )
        assert sent.json()["accepted"] == 1, sent.text
        ledger = process_behind(client).ledger
        steps = SqlSteps(ledger.engine)
        live(ledger, 1, FEW)
        few = {door: steps.of(partial(asked, client, door)) for door in DOORS}
        few |= {LEFT: left(ledger, FEW), SERVES: serves(ledger)}
        live(ledger, FEW + 1, MANY)
        many = {door: steps.of(partial(asked, client, door)) for door in DOORS}
        many |= {LEFT: left(ledger, MANY), SERVES: serves(ledger)}
    found = {door: (few[door], many[door]) for door in few}
    return found.__getitem__


def left(ledger: Ledger, cycles: int) -> int:
    with ledger.connect() as connection:
        return machine_steps(
            connection,
            lambda: basis(
                connection,
                MODEL,
                before_number=cycles + 1,
                aside=frozenset(),
                up_to=ledger.size() - 1,
            ),
        )


def serves(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        return machine_steps(
            connection,
            lambda: (
                reign_at(connection, MODEL, before=ledger.size()),
                who_serves(MODEL).at(connection),
            ),
        )


def asked(client: TestClient, door: str) -> Any:
    answer = client.get(door)
    assert answer.status_code == (404 if door == UNSENT else 200), answer.text
    return answer


@pytest.mark.parametrize("door", [*DOORS, LEFT, SERVES])
def test_a_door_takes_no_more_steps_after_four_times_as_much(
    measured: Callable[[str], tuple[int, int]], door: str
) -> None:
    few, many = measured(door)
    assert 0 < few
    assert many <= GROWTH_MAX * few, f"{few} steps after {FEW} decisions, {many} after {MANY}"
