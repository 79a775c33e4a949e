"""A service whose read models take long to fold answers meanwhile that it does, and how far."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from types import SimpleNamespace

import pytest
from sqlalchemy import delete

from app.database.engine import create_database
from app.database.locks import take_lock
from app.http.starting import Starting
from app.process import Process
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.projections.rebuild import rebuild
from app.projections.runner import apply
from app.settings import Settings
from tests.app.http.routes.running import AMC, process_behind, running
from tests.ledger_events import put, refused
from tests.patience import HANGS_SECONDS, until

ENTRIES = 20


class Fold:
    """A fold of one entry a transaction, whose pauses last until it may go on."""

    def __init__(self) -> None:
        self._may = threading.Semaphore(0)

    def pause(self, _seconds: float) -> None:
        assert self._may.acquire(timeout=HANGS_SECONDS)

    def go_on(self, pages: int = 10 * ENTRIES) -> None:
        self._may.release(pages)


@pytest.fixture
def unfolded(sqlite_settings: Settings) -> Settings:
    """A ledger whose read models are to be folded again."""
    ledger = open_ledger(sqlite_settings)
    put(ledger, "observations-cars", *[refused()] * ENTRIES)
    with ledger.writing() as connection:
        connection.execute(delete(POSITIONS))
    ledger.close()
    return sqlite_settings.model_copy(update={"busy_timeout_seconds": 0.3})


@pytest.fixture
def fold(monkeypatch: pytest.MonkeyPatch) -> Fold:
    fold = Fold()
    monkeypatch.setattr(apply, "page_entries", 1)
    monkeypatch.setattr("app.ledger.catching_up.time", SimpleNamespace(sleep=fold.pause))
    return fold


def begun(
    settings: Settings, then: Callable[[Starting, list[Process]], Awaitable[None]]
) -> list[Process]:
    """Begin a start that takes long, and go on with it; the processes that started in the end."""
    ready: list[Process] = []

    def failed(error: BaseException) -> None:
        raise error

    async def begin() -> None:
        starting = Starting(settings, ready.append, failed)
        await starting.begin()
        await then(starting, ready)

    asyncio.run(begin())
    return ready


def test_until_they_are_folded_every_question_is_answered_with_how_far_they_are(
    unfolded: Settings, fold: Fold
) -> None:
    with running(unfolded) as client:
        waiting = client.get("/readyz")
        refusals = [
            waiting,
            client.post("/predictions", json={"model": "car-price", "row": AMC}),
            client.get("/models"),
        ]
        assert client.get("/healthz").status_code == 200
        fold.go_on()
        until(lambda: client.get("/readyz").status_code == 200)
        assert client.get("/readyz").json()["size"] == ENTRIES + 1
        assert rebuild(process_behind(client).ledger).differing == ()

    for refusal in refusals:
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "1")
        assert refusal.json()["type"] == "urn:whyledger:problem:not-ready"
    assert waiting.json()["detail"] == (
        f"read models are folded from the ledger: 1 of {ENTRIES + 1} entries. Ask again in a "
        "moment."
    )


def test_the_time_left_follows_from_what_this_start_has_folded(
    unfolded: Settings, fold: Fold, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fold_one_more(starting: Starting, ready: list[Process]) -> None:
        fold.go_on(1)
        await asyncio.to_thread(until, lambda: "about" in str(starting.not_ready()))
        said.append(str(starting.not_ready()))
        stopping = asyncio.create_task(starting.stop())
        await asyncio.sleep(0)
        fold.go_on(1)
        await stopping

    said: list[str] = []
    seconds = count(0.0, 1.0)  # an entry a second
    monkeypatch.setattr("app.http.starting.monotonic_seconds", lambda: next(seconds))

    for _ in range(2):  # the second start goes on where the first one was stopped, at entry 3
        assert begun(unfolded, fold_one_more) == []

    assert [each.rpartition("entries, ")[2] for each in said] == [
        f"about {ENTRIES + 1 - folded} s left. Ask again then." for folded in (2, 5)
    ]


def test_a_start_that_is_stopped_meanwhile_goes_on_there_the_next_time(
    unfolded: Settings, fold: Fold
) -> None:
    async def stop(starting: Starting, ready: list[Process]) -> None:
        stopping = asyncio.create_task(starting.stop())
        await asyncio.sleep(0)
        fold.go_on(1)
        await stopping

    assert begun(unfolded, stop) == []

    fold.go_on()
    said: list[int] = []
    ledger = open_ledger(unfolded, progress=lambda done, of: said.append(done))
    assert said[0] == 3  # the first two entries are not folded again
    assert rebuild(ledger).differing == ()
    ledger.close()


def test_a_start_whose_database_is_not_to_be_had_can_be_stopped_nevertheless(
    unfolded: Settings, fold: Fold, caplog: pytest.LogCaptureFixture
) -> None:
    async def stop_while_busy(starting: Starting, ready: list[Process]) -> None:
        elsewhere = create_database(unfolded.ledger_url, unfolded)
        with elsewhere.connect() as connection:
            take_lock(connection, 1)
            fold.go_on()
            await asyncio.to_thread(until, lambda: "in use by another writer" in caplog.text)
            await asyncio.wait_for(starting.stop(), HANGS_SECONDS)
        elsewhere.dispose()

    assert begun(unfolded, stop_while_busy) == []


def test_a_start_waits_for_a_database_that_comes_back(
    unfolded: Settings, fold: Fold, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy_for_a_while(starting: Starting, ready: list[Process]) -> None:
        elsewhere = create_database(unfolded.ledger_url, unfolded)
        with elsewhere.connect() as connection:
            take_lock(connection, 1)
            fold.go_on()
            await asyncio.to_thread(until, lambda: "in use by another writer" in caplog.text)
        elsewhere.dispose()
        await asyncio.to_thread(until, lambda: bool(ready))

    (process,) = begun(unfolded, busy_for_a_while)
    process.close()
