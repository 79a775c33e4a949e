"""PostgreSQL is stopped, crashed and started under a service that goes on without a restart."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg

from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.rows_apart import FoldedRows
from app.settings import Settings
from domain.blocks.ids import prediction_id
from domain.errors import LedgerBusy
from tests import ledger_events as events
from tests.app.http.routes.running import AMC, outcome, plan_bytes, promote
from tests.app.many_rows import observations, outcomes, predictions, put_many
from tests.app.proof.forged_rows import erase
from tests.patience import until
from tests.soak.service import Service, cars, send
from tests.soak.watching import Watch

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from app.ledger.store import Ledger
    from tests.soak.conftest import StoppablePostgres

CRASHES_SHORT = 3
CRASHES_LONG = 60
PAGE_ENTRIES = 2
UNWRITABLE = "urn:whyledger:problem:ledger-unwritable"


def test_a_service_outlives_its_database(
    stoppable_postgres: StoppablePostgres, tmp_path: Path, soaking: bool
) -> None:
    settings = Settings(
        database_url=stoppable_postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=2,
    )
    acknowledged: dict[str, int] = {}
    first = 0
    with Service(settings) as service, service.client() as client:
        service.adopt()
        for how in ("fast", "immediate") * (5 if soaking else 1):
            answer = send(client, cars(first, 10))
            assert answer.status_code == 201, answer.text
            acknowledged |= {e["id"]: e["position"] for e in answer.json()["recorded"]}
            first += 10
            stoppable_postgres.stop(how)
            answer = send(client, cars(first, 10))
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) >= 1
            assert client.get("/readyz").status_code == 503
            assert client.get("/healthz").status_code == 200
            stoppable_postgres.start()
            until(lambda: client.get("/readyz").status_code == 200)
            answer = send(client, cars(first, 10))  # the same ids again
            assert answer.status_code == 201, answer.text
            acknowledged |= {e["id"]: e["position"] for e in answer.json()["recorded"]}
            first += 10
        assert service.process.poll() is None
    ledger = open_ledger(settings)
    watch = Watch(ledger)
    watch.look()
    watch.assert_kept(acknowledged)
    assert len(acknowledged) == first
    assert rebuild(ledger).differing == ()
    ledger.close()


def test_a_service_whose_server_becomes_a_stand_by_answers_who_reads_until_writes_are_taken_again(
    stoppable_postgres: StoppablePostgres, tmp_path: Path
) -> None:
    """Given connections that have read before: the server does not let them begin a transaction
    that writes."""
    settings = Settings(
        database_url=stoppable_postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=2,
    )
    with Service(settings) as service, service.client() as client:
        service.adopt()
        assert send(client, cars(0, 10)).status_code == 201
        stoppable_postgres.demote()
        until(lambda: client.get("/models").status_code == 200)
        for _ in range(3):
            assert client.get("/models/car-price/health").status_code == 200
            answer = send(client, cars(10, 10))
            assert (answer.status_code, answer.json()["type"]) == (503, UNWRITABLE), answer.text
            assert "no stand-by" in answer.json()["detail"]
        stoppable_postgres.promote()
        until(lambda: send(client, cars(10, 10)).status_code == 201)
        until(lambda: client.get("/readyz").status_code == 200)
    with closing(open_ledger(settings)) as ledger:
        assert rebuild(ledger).differing == ()


def test_rows_that_were_folded_and_not_on_the_disk_are_folded_again_after_a_crash(
    stoppable_postgres: StoppablePostgres, soaking: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Given rows of many in one entry, of one, and erased ones, folded a few entries at a time by
    transactions that a crash undoes: all entries are there, and the fold goes on from what is left.
    """
    keeps_to_itself_what_need_not_be_on_the_disk(stoppable_postgres)
    settings = Settings(database_url=stoppable_postgres.url, busy_timeout_seconds=2)
    lost: set[int] = set()  # how many entries were to be folded again
    with closing(open_ledger(settings)) as ledger:
        rows = ledger.rows
        assert isinstance(rows, FoldedRows)
        rows.keeping.page_entries = PAGE_ENTRIES
        rows.catch_up()
        for crash in range(CRASHES_LONG if soaking else CRASHES_SHORT):
            tell(ledger, 10 * crash)
            begun, there = rows_folded(ledger), ledger.size()
            rows.catch_up(begun + PAGE_ENTRIES * (1 + crash % 2) - 1)
            before = rows_folded(ledger)
            stoppable_postgres.stop("immediate")
            stoppable_postgres.start()
            until(lambda: answers(ledger))
            left = rows_folded(ledger)
            assert ledger.size() == there
            assert begun <= left <= before
            lost.add(before - left)
            reached: list[int] = []
            rows.catch_up(progress=lambda done, _, reached=reached: reached.append(done))  # type: ignore[misc]
            assert reached[0] == left + PAGE_ENTRIES
            assert rebuild(ledger).differing == ()
    assert max(lost) > 0
    assert "anew" not in caplog.text


def test_who_folds_beside_a_service_outlives_its_database_and_lacks_no_row(
    stoppable_postgres: StoppablePostgres, tmp_path: Path, soaking: bool
) -> None:
    """Given crashes right after batches of predictions and of labels, while they are folded: a
    label finds its row, and the rows are those of the entries."""
    settings = Settings(
        database_url=stoppable_postgres.url,
        state_dir=tmp_path / "state",
        busy_timeout_seconds=2,
        rows_folded_beside=True,
    )
    with Service(settings) as service, service.client() as client:
        service.adopt()
        with closing(open_ledger(settings)) as ledger:
            promote(ledger, 1, plan_bytes(0.25))
        for crash in range(1, 1 + (CRASHES_LONG if soaking else CRASHES_SHORT)):
            batch = [{**AMC, "car_id": 1000 * crash + car} for car in range(500)]
            asked = {"model": "car-price", "rows": batch}
            until(lambda asked=asked: client.post("/predictions", json=asked).status_code == 200)  # type: ignore[misc]
            assert send(client, cars(1_000_000 * crash, 500)).status_code == 201
            stoppable_postgres.stop("immediate")
            stoppable_postgres.start()
            until(lambda: client.get("/readyz").status_code == 200)
            identity = {"year": AMC["year"], "car_id": 1000 * crash + 499}
            labelled = [outcome(f"label {crash}", 5.2, identity=identity)]
            until(lambda labelled=labelled: send(client, labelled).status_code == 201)  # type: ignore[misc]
        until(lambda: all_is_folded(client.get("/readyz").json()))
        assert service.process.poll() is None
    with closing(open_ledger(settings)) as ledger:
        assert rebuild(ledger).differing == ()


def keeps_to_itself_what_need_not_be_on_the_disk(server: StoppablePostgres) -> None:
    """As long as nothing that must be there takes it along, or ten seconds: a crash undoes it."""
    with psycopg.connect(server.url, autocommit=True) as superuser:
        superuser.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        superuser.execute("ALTER SYSTEM SET wal_writer_flush_after = '1GB'")
    server.stop()
    server.start()


def tell(ledger: Ledger, car: int) -> None:
    """Rows of every kind, of which some are erased."""
    first = put_many(ledger, predictions(car + 1, car + 2, car + 3))
    put_many(ledger, observations(car + 4, car + 5))
    third = prediction_id(first.id, 2)
    put_many(ledger, outcomes((first.id, f"car={car + 1}"), (third, f"car={car + 3}")))
    events.put(ledger, "predictions-cars", events.prediction(f"car={car + 6}"))
    events.put(ledger, "observations-cars", events.observation(f"car={car + 6}"))
    erase(ledger, (first.position, 1))
    events.put(ledger, "observations-cars", events.observation(f"car={car + 7}"))


def rows_folded(ledger: Ledger) -> int:
    return ledger.sizes()[1]


def answers(ledger: Ledger) -> bool:
    try:
        ledger.size()
    except LedgerBusy:  # a connection from before
        return False
    return True


def all_is_folded(ready: dict[str, int]) -> bool:
    return ready["rows"] == ready["size"]
