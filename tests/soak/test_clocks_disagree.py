"""Services whose hosts' clocks differ by years, on one ledger: one order, and retries are known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeAlias

import httpx2
import pytest
from fastapi.testclient import TestClient

from app.ledger.store import Ledger
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.events.events import ObservationRecorded
from domain.events.expansion import expanded
from domain.times import days_between
from tests.app.http.routes.running import adopt, running
from tests.app.told_clock import DAY, TEN_YEARS
from tests.patience import until
from tests.repository import REPOSITORY
from tests.soak.service import Service, cars, send

Client: TypeAlias = httpx2.Client | TestClient
BATCH = 5
ROUNDS_SHORT, ROUNDS_LONG = 3, 300
AHEAD_SHORT = {"ten-years-ahead": TEN_YEARS}
AHEAD_LONG: Mapping[str, timedelta] = {**AHEAD_SHORT, "a-day-behind": -DAY}
FIRST_WORD = """
from datetime import timedelta
from tests.app.told_clock import told_clock
held = told_clock()
held.__enter__().ahead = timedelta(seconds={seconds})
"""


@pytest.fixture
def hosts(
    ledger: Ledger, settings: Settings, soaking: bool, tmp_path: Path
) -> Iterator[Sequence[Client]]:
    """One whose clock is right, and others; `sitecustomize` has the first word in a process."""
    with ExitStack() as opened:
        right = opened.enter_context(running(settings))
        adopt(right)
        made: list[Client] = [right]
        for name, ahead in (AHEAD_LONG if soaking else AHEAD_SHORT).items():
            (tmp_path / name).mkdir()
            word = FIRST_WORD.format(seconds=ahead.total_seconds())
            (tmp_path / name / "sitecustomize.py").write_text(word)
            path = os.pathsep.join([str(tmp_path / name), str(REPOSITORY)])
            service = opened.enter_context(Service(settings, {"PYTHONPATH": path}))
            made.append(opened.enter_context(service.client()))
        yield made


def recorded(client: Any, batch: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is answered once the host knows the contract."""
    answers: list[Any] = []

    def taken() -> bool:
        answers.append(send(client, batch))
        return bool(answers[-1].status_code == 201)

    until(taken, pause_seconds=0.05)
    made: list[dict[str, Any]] = answers[-1].json()["recorded"]
    return made


def test_the_order_is_whole_and_a_retry_gets_the_first_answer_from_a_host_of_another_time(
    hosts: Sequence[Client], ledger: Ledger, soaking: bool
) -> None:
    began = ledger.size()
    first: list[dict[str, Any]] = []
    for number in range((ROUNDS_LONG if soaking else ROUNDS_SHORT) * len(hosts)):
        batch = cars(number * BATCH, BATCH)
        made = recorded(hosts[number % len(hosts)], batch)
        assert recorded(hosts[(number + 1) % len(hosts)], batch) == made
        first += made

    entries = ledger.read(began - 1, len(first) + 100)
    assert [e.position for e in entries] == list(range(began, began + len(entries)))
    rows = [row for row in expanded(entries) if isinstance(row.event, ObservationRecorded)]
    assert [(row.position, row.id) for row in rows] == [(e["position"], e["id"]) for e in first]
    times = [row.recorded_at for row in rows]
    assert days_between(min(times), max(times)) > 0.9 * TEN_YEARS.days
    assert verify(ledger, None).whole
