"""Batches of events that overlap come in at once: each event is recorded once, and all are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from fastapi.testclient import TestClient

from app.proof.verify.verification import verify
from tests.app.http.routes.running import AMC, observation, outcome, predict, process_behind, send

SENDERS: Final = 4
EVENTS: Final = 60  # of each kind
ROWS: Final = [{**AMC, "car_id": car} for car in range(EVENTS)]


def overlapping(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Two thirds of them for each sender, who begins where others have not."""
    size, step = len(events) * 2 // 3, len(events) // SENDERS
    return [(events + events)[n * step : n * step + size] for n in range(SENDERS)]


def test_events_that_several_send_at_once_are_recorded_once_and_answered_alike(
    service: TestClient,
) -> None:
    predict(service, *ROWS)
    named = [{"year": row["year"], "car_id": row["car_id"]} for row in ROWS]
    labels = [outcome(f"l{n}", 5.5, identity=each) for n, each in enumerate(named)]
    seen = [observation(f"o{n}", car_id=n) for n in range(EVENTS)]
    for events in (
        labels,
        seen,
        [each for pair in zip(labels, seen, strict=True) for each in pair],
    ):
        with ThreadPoolExecutor(SENDERS) as pool:
            answers = list(pool.map(lambda sent: send(service, sent), overlapping(events)))
        assert [answer.status_code for answer in answers] == [201] * SENDERS
        told: dict[str, set[tuple[Any, ...]]] = {}
        for answer in answers:
            for each in answer.json()["recorded"]:
                told.setdefault(each["source_id"], set()).add(
                    (each["id"], each["position"], each["row"])
                )
        assert len(told) == len(events)
        assert {len(places) for places in told.values()} == {1}
    whole = verify(process_behind(service).ledger, None)
    assert whole.breaks == ()
