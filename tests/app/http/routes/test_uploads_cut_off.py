"""An upload that is cut off half-way is sent again, and goes on where it stopped."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient

from tests.app.http.routes.running import events_of, process_behind
from tests.app.http.routes.test_datasets import GOOD, HEADER, upload


def cut_off_at_third_append(service: TestClient, *lines: str) -> None:
    process = process_behind(service)
    append, calls = process.ledger.append, 0

    def fail_at_third(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the machine stopped")
        return append(*arguments, **named)

    process.ledger.append = fail_at_third  # type: ignore[method-assign]
    assert upload(service, *lines).status_code == 500
    process.ledger.append = append  # type: ignore[method-assign]


def test_an_upload_that_was_cut_off_goes_on_where_it_stopped(service: TestClient) -> None:
    lines = [GOOD.replace("129", str(number)) for number in range(1200)]
    cut_off_at_third_append(service, HEADER, *lines)
    body = upload(service, HEADER, *lines).json()
    assert (body["accepted"], body["already_known"]) == (200, 1000)
    assert len(events_of(service, "observations.observation-recorded")) == 1200


def test_a_correction_between_both_halves_of_an_upload_stays_in_force(service: TestClient) -> None:
    """Given one that was cut off, and a row of its first half corrected since: sent again, it knows
    that row, and takes nothing back."""
    lines = [GOOD.replace("129", str(number)) for number in range(1200)]
    cut_off_at_third_append(service, HEADER, *lines)
    corrected = lines[7].replace("4.935802", "5.1")
    assert upload(service, HEADER, corrected).json()["corrections"] == 1

    body = upload(service, HEADER, *lines).json()

    assert (body["accepted"], body["already_known"], body["corrections"]) == (200, 1000, 0)
    assert upload(service, HEADER, corrected, lines[8]).json()["already_known"] == 2
