"""Two versions of the service on one PostgreSQL, each with rows of its own beside the ledger."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import inspect, select

from app.cause import Cause
from app.clock import new_id
from app.database.engine import READ_MODELS_SCHEMA
from app.ledger.store import Ledger, StreamAppend
from app.projections.positions import POSITIONS
from app.projections.rebuild import rebuild
from app.projections.rows_apart import FoldedRows
from app.settings import Settings
from domain.events.events import Event
from tests import ledger_events as events
from tests.app.cli.command_line import whyledger_by_itself
from tests.app.http.routes.running import AMC, outcome, plan_bytes, promote
from tests.patience import until
from tests.repository import REPOSITORY
from tests.soak.service import Service, cars, send

pytestmark = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)

LATER: Final = {"PYTHONPATH": f"{Path(__file__).parent / 'later_version'}:{REPOSITORY}"}
OURS: Final = {"predictions_4", "zones_1", "labels_4", "label_days_2", "rows_state_4_1_4_2"}
THEIRS: Final = {"predictions_5", "zones_2", "labels_5", "label_days_3", "rows_state_5_2_5_3"}
ROUNDS: Final = 4
BATCH: Final = 20


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"rows_folded_beside": True})


@pytest.fixture
def older(ledger: Ledger, settings: Settings) -> Iterator[Service]:
    with Service(settings) as service:
        service.adopt()
        promote(ledger, 1, plan_bytes(0.25))
        yield service


@pytest.fixture
def later(older: Service, settings: Settings) -> Iterator[Service]:
    """Started when the older one had recorded something."""
    predicts(older, 1)
    with Service(settings, LATER) as service:
        yield service


def predicts(service: Service, car: int) -> None:
    body = {"model": "car-price", "rows": [{**AMC, "car_id": car}]}

    def answered() -> bool:
        with service.client() as client:
            return client.post("/predictions", json=body).status_code == 200

    until(answered)  # once the champion is taken up


def takes_label(service: Service, car: int) -> None:
    """Of a prediction that it finds by the row's identity, among its own rows."""
    event = outcome(f"label {car}", 5.2, identity={"year": AMC["year"], "car_id": car})
    with service.client() as client:
        answer = send(client, [event])
    assert answer.status_code == 201, answer.text


def counts(client: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/models/car-price/health").json()
    return {name: found[name] for name in ("overdue_predictions", "overdue_unlabelled")}


def all_folded(service: Service) -> dict[str, Any]:
    """What it counts, once a process beside it has folded all there is."""

    def there() -> bool:
        with service.client() as client:
            ready = client.get("/readyz").json()
        return bool(ready["rows"] == ready["size"])

    until(there)
    with service.client() as client:
        return counts(client)


def later_says(settings: Settings, *words: str) -> dict[str, Any]:
    """The answer of a command of the later version, in a process of its own."""
    asked = {**settings.as_environment(), **LATER}
    done = whyledger_by_itself(settings.state_dir, *words, "--json", **asked)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_rows(ledger: Ledger) -> set[str]:
    """What stands of both versions' rows, tables and what says how far they are."""
    with ledger.snapshot() as connection:
        stand = set(inspect(connection).get_table_names(READ_MODELS_SCHEMA))
        said = connection.execute(select(POSITIONS.c.read_models)).scalars()
        named = {name for each in said for name in each.split()}
    assert (stand & (OURS | THEIRS)) == (named & (OURS | THEIRS))
    return stand & (OURS | THEIRS)


def recorded_long_ago(ledger: Ledger, event: Event) -> None:
    append = StreamAppend("observations-cars", (events.new(event),), None)
    ledger.append([append], Cause.unauthenticated(new_id()), recorded_at=events.TIME)


def test_each_answers_from_its_own_rows_with_what_the_other_recorded(
    older: Service, later: Service, ledger: Ledger, settings: Settings
) -> None:
    for car in range(2, 2 + ROUNDS):
        one, other = (older, later) if car % 2 else (later, older)
        predicts(one, car)
        takes_label(other, car)
        with one.client() as client:
            assert send(client, cars(100 * car, BATCH)).status_code == 201
    assert all_folded(older) == all_folded(later)
    assert of_rows(ledger) == OURS | THEIRS

    found = later_says(settings, "replay")
    assert (found["equal"], found["differing"]) == (True, [])
    assert THEIRS & found["digests"].keys() == THEIRS - {"rows_state_5_2_5_3"}
    assert rebuild(ledger).differing == ()


def test_a_rebuild_of_either_runs_beside_both_while_they_record(
    older: Service, later: Service, ledger: Ledger, settings: Settings
) -> None:
    ended = threading.Event()
    sizes: list[int] = []

    def go_on() -> None:
        car = 1000
        while not ended.is_set():
            for service in (older, later):
                with service.client() as client:
                    assert send(client, cars(car, BATCH)).status_code == 201
                predicts(service, car)
                car += BATCH
            sizes.append(ledger.size())

    sending = threading.Thread(target=go_on)
    sending.start()
    try:
        until(lambda: len(sizes) > 0)
        before = len(sizes)
        assert later_says(settings, "replay", "--anew")["differing"] == []
        assert rebuild(ledger).differing == ()
        until(lambda: len(sizes) > before)
    finally:
        ended.set()
        sending.join()


def test_what_an_older_version_leaves_behind_goes_a_week_later_and_comes_back_with_it(
    older: Service, later: Service, ledger: Ledger, settings: Settings
) -> None:
    all_folded(older)
    all_folded(later)
    older.kill()
    later.kill()
    recorded_long_ago(ledger, events.refused(1))  # nobody of the older version folds it

    later_says(settings, "state")

    assert of_rows(ledger) == THEIRS
    with Service(settings) as again:
        takes_label(again, 1)
        all_folded(again)
    assert of_rows(ledger) == OURS | THEIRS
    assert rebuild(ledger).differing == ()


def test_an_erasure_leaves_no_rows_of_another_version(ledger: Ledger, settings: Settings) -> None:
    recorded_long_ago(ledger, events.observation("car=1"))
    later_says(settings, "state")
    ledger.rows.catch_up()
    assert of_rows(ledger) == OURS | THEIRS
    with ledger.writing() as connection:
        assert THEIRS <= set(ledger.project.drop_others(connection))
    assert of_rows(ledger) == OURS
    assert later_says(settings, "replay")["differing"] == []
    assert of_rows(ledger) == OURS | THEIRS


@pytest.mark.parametrize("pages", [0, 1])
def test_rows_that_were_begun_anew_and_never_folded_leave_nothing_behind(
    ledger: Ledger, settings: Settings, pages: int
) -> None:
    """Given a process that is killed when it has dropped what does not fit, and folded a page."""
    for car in range(1, 8):
        recorded_long_ago(ledger, events.observation(f"car={car}"))
    ledger.rows.catch_up()
    assert isinstance(ledger.rows, FoldedRows)
    ledger.rows.begin_anew()
    if pages:
        ledger.rows.keeping.page_entries = 3
        ledger.rows.catch_up(2)

    later_says(settings, "state")

    assert of_rows(ledger) == THEIRS
