"""What a client gets while the host's clock jumps: its rows are taken, and retries are known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from app.clock import now
from app.projections.label_rows import labelled_rows
from tests.app.http.routes.running import AMC, observation, predict, process_behind, send
from tests.app.told_clock import DAY, SECOND, TEN_YEARS, ToldClock, told_clock


@pytest.fixture
def clock() -> Iterator[ToldClock]:
    with told_clock() as told:
        yield told


def seen(client: TestClient, before: str) -> list[str]:
    """The labelled rows that a cycle with this `as_of` would look at."""
    with process_behind(client).ledger.connect() as connection:
        rows = labelled_rows(connection, "car-price", before=before, up_to=10**9)
    return [row.identity for row in rows]


def test_requests_are_answered_and_retries_known_wherever_the_clock_goes(
    service: TestClient, clock: ToldClock
) -> None:
    size = process_behind(service).ledger.size()
    key = {"Idempotency-Key": "one"}
    made, sent = predict(service, AMC, **key), send(service, observation("1")).json()
    for jump in (-DAY, TEN_YEARS, -TEN_YEARS, -SECOND):
        clock.ahead += jump
        assert predict(service, AMC, **key) == made
        assert send(service, observation("1")).json()["recorded"] == sent["recorded"]
        predict(service, AMC)
    entries = process_behind(service).ledger.read(size - 1)
    assert [entry.position for entry in entries] == list(range(size, size + 2 + 4))
    assert {entry.recorded_at for entry in entries} <= set(clock.told)


def test_a_row_the_clock_took_for_past_while_it_ran_ahead_waits_for_its_time(
    service: TestClient, clock: ToldClock
) -> None:
    """Given rows of a year to come, taken while the clock ran ahead, then they stand in the ledger
    and no look back sees them before their time."""
    year = int(process_behind(service).ledger.entry(0).recorded_at[:4]) + 5
    clock.ahead = TEN_YEARS
    assert send(service, observation("1", year=year)).status_code == 201
    clock.ahead = timedelta()

    assert send(service, observation("2", year=year)).status_code == 422
    assert seen(service, before=now()) == []
    clock.ahead = TEN_YEARS
    assert seen(service, before=now()) == [f"year={year}|car_id=129"]
