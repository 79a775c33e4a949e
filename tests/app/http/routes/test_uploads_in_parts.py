"""An upload is taken in a part at a time: what it knows of its own rows, and when it gives way."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.intake.giving_way import GivingWay
from tests.app.http.routes.running import process_behind
from tests.app.http.routes.test_datasets import GOOD, HEADER, upload


def test_an_upload_knows_its_own_rows_before_they_are_folded(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a file of several parts in which rows come again, as they were and corrected, while
    another process folds and has not come to it, then it waits for no fold between its parts."""
    rows = process_behind(service).ledger.rows
    catch_up, waited = rows.catch_up, 0

    def counted(*arguments: Any, **named: Any) -> None:
        nonlocal waited
        waited += 1
        catch_up(*arguments, **named)

    monkeypatch.setattr(rows, "always", False)
    monkeypatch.setattr(rows, "catch_up", counted)
    first = [GOOD.replace("1971,129", f"1971,{number}") for number in range(500)]
    corrected = [line.replace("4.935802", "5.1") for line in first[:100]]
    body = upload(service, HEADER, *first, *first, *corrected, *first[:50]).json()
    assert (body["accepted"], body["already_known"], body["corrections"]) == (650, 500, 150)
    assert waited <= 2, "when it begins, and for what the next cycle would do"


def test_a_file_of_lines_that_are_none_gives_way_and_one_with_a_few_does_not(
    lone_service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty thousand lines that are none are forty kilobytes and much work for the interpreter,
    which all others want; who sends a file of good rows and some bad ones waits for nobody."""
    pauses = 0

    class Counted(GivingWay):
        def pause(self) -> None:
            nonlocal pauses
            pauses += 1

    monkeypatch.setattr("app.intake.datasets.GivingWay", Counted)
    good = [GOOD.replace("1971,129", f"1971,{number}") for number in range(1200)]
    mixed = [line if number % 4 else "1" for number, line in enumerate(good)]
    assert upload(lone_service, HEADER, *mixed).json()["quarantined"] == 300
    assert pauses == 0
    worse = GOOD.replace("0.528997", "99")
    assert upload(lone_service, HEADER, *["1", worse] * 600).json()["quarantined"] == 1200
    assert pauses > 1200, "when judged, and when written into the quarantine"
