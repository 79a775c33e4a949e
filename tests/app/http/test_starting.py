"""A service whose read models take long to fold answers meanwhile that it does, and how far."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import delete

from app.projections.keeping import POSITIONS
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.runner import apply
from app.settings import Settings
from tests.app.http.routes.running import AMC, process_behind, running
from tests.ledger_events import put, refused

ENTRIES = 500


@pytest.fixture
def unfolded(sqlite_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A ledger whose read models are to be folded again, an entry a transaction."""
    ledger = open_ledger(sqlite_settings)
    put(ledger, "observations-cars", *[refused()] * ENTRIES)
    with ledger.writing() as connection:
        connection.execute(delete(POSITIONS))
    ledger.close()
    monkeypatch.setattr(apply, "page_entries", 1)
    return sqlite_settings


def test_until_they_are_folded_every_question_is_answered_with_how_far_they_are(
    unfolded: Settings,
) -> None:
    with running(unfolded) as client:
        waiting = client.get("/readyz")
        refusals = [
            waiting,
            client.post("/predictions", json={"model": "car-price", "row": AMC}),
            client.get("/models"),
        ]
        assert client.get("/healthz").status_code == 200
        while client.get("/readyz").status_code == 503:
            time.sleep(0.01)
        assert client.get("/readyz").json()["size"] == ENTRIES + 1
        assert rebuild(process_behind(client).ledger).differing == ()

    for refusal in refusals:
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (503, "1")
        assert refusal.json()["type"] == "urn:whyledger:problem:not-ready"
    said = waiting.json()["detail"]
    assert said.startswith("read models are folded from the ledger: ")
    assert f" of {ENTRIES + 1} entries, about " in said


def test_a_service_that_is_stopped_meanwhile_goes_on_there_when_it_is_started_again(
    unfolded: Settings,
) -> None:
    with running(unfolded) as client:
        assert client.get("/readyz").status_code == 503
    said: list[int] = []
    ledger = open_ledger(unfolded, progress=lambda done, of: said.append(done))
    assert said[0] > 1  # the first entry is not folded again
    assert rebuild(ledger).differing == ()
    ledger.close()
