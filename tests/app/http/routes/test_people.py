"""Rows about people over HTTP: kept apart, erased for good, and never brought back by a retry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.cause import Cause
from app.intake.erasure import erase
from app.intake.observations import FEW
from app.intake.standing_rows import StandingRows
from app.ledger.store import Connection
from app.settings import Settings
from tests.app.car_ledger import document
from tests.app.http.routes.running import (
    AMC,
    adopt,
    observation,
    outcome,
    plan_bytes,
    predict,
    process_behind,
    promote,
    running,
    send,
)
from tests.app.people import MARKER, holders, owned

CONTRACT = json.dumps(document("data", "contracts", "car-price.yaml") | owned()).encode()
OWNED = AMC | {"owner": MARKER}
KEY = "year=1976|car_id=129"
OTHER = AMC | {"car_id": 130, "owner": None}
HEADER = "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,owner,price"


@pytest.fixture
def service(sqlite_settings: Settings) -> Iterator[TestClient]:
    """The service with a personal contract and a champion."""
    with running(sqlite_settings) as client:
        adopt(client, CONTRACT)
        process = process_behind(client)
        promote(process.ledger, 1, plan_bytes(0.25, CONTRACT))
        process.champions.refresh()
        yield client


def forget(client: TestClient) -> None:
    process = process_behind(client)
    found = erase(
        process.ledger,
        process.settings,
        model="car-price",
        identity=KEY,
        reason="the owner asked",
        legal_basis="GDPR Art. 17",
        cause=Cause.unauthenticated("asked"),
    )
    assert (found.beyond, found.left) == ((), None)


def forget_unfolded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Erase it; who folds is another process, and has not come to that."""
    rows = process_behind(client).ledger.rows
    monkeypatch.setattr(rows, "always", False)
    monkeypatch.setattr(rows, "compact", lambda: None)
    forget(client)


def entries(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/events").json()
    return found


def hashed(client: TestClient) -> bytes:
    ledger = process_behind(client).ledger
    return b"".join(ledger.stored_bytes(0, ledger.size()))


def test_predictions_observations_and_outcomes_are_kept_apart(service: TestClient) -> None:
    made = predict(service, OWNED)["predictions"][0]
    assert send(service, observation("1", owner=MARKER)).status_code == 201
    known = outcome("2", 4.9, prediction_id=made["prediction_id"])
    assert send(service, known).status_code == 201
    assert MARKER.encode() not in hashed(service)
    assert KEY.encode() not in hashed(service)
    assert [each["data"].get("identity") for each in entries(service)[-3:]] == [KEY] * 3


def test_what_was_erased_is_listed_as_erased_without_data(service: TestClient) -> None:
    predict(service, OWNED)
    send(service, observation("1", owner=MARKER))
    forget(service)
    *_, predicted, observed, erasure = entries(service)
    assert (predicted["erased"], observed["erased"]) == (True, True)
    assert not {"data", "datacontenttype"} & (set(predicted) | set(observed))
    assert erasure["data"]["entries"] == [int(predicted["sequence"]), int(observed["sequence"])]
    assert "erased" not in erasure


def test_the_same_event_again_is_a_conflict_and_brings_nothing_back(service: TestClient) -> None:
    event = observation("1", owner=MARKER)
    assert send(service, event).status_code == 201
    assert send(service, event).status_code == 201, "a retry before"
    forget(service)
    size = len(entries(service))
    assert send(service, event).status_code == 409
    assert len(entries(service)) == size


def test_the_same_prediction_request_again_is_refused(service: TestClient) -> None:
    first = predict(service, OWNED, **{"Idempotency-Key": "once"})
    assert predict(service, OWNED, **{"Idempotency-Key": "once"}) == first
    forget(service)
    again = service.post(
        "/predictions",
        json={"model": "car-price", "rows": [OWNED]},
        headers={"Idempotency-Key": "once"},
    )
    assert again.status_code == 422


def test_a_label_for_an_erased_prediction_is_a_label_of_nothing(service: TestClient) -> None:
    made = predict(service, OWNED)["predictions"][0]
    forget(service)
    answer = send(service, outcome("2", 4.9, prediction_id=made["prediction_id"]))
    assert (answer.status_code, "never made prediction" in answer.text) == (422, True)


@pytest.mark.parametrize("by_id", [True, False])
def test_a_batch_of_labels_with_one_of_an_erased_row_is_refused_for_that_one(
    service: TestClient, monkeypatch: pytest.MonkeyPatch, by_id: bool
) -> None:
    """Given as many labels as are judged together, whichever way they name what they label, before
    what is gone is folded."""
    rows = [OWNED, *(OTHER | {"car_id": 200 + car} for car in range(FEW + 1))]
    made = predict(service, *rows)["predictions"]
    names = [
        {"prediction_id": each["prediction_id"]}
        if by_id
        else {"identity": {name: row[name] for name in ("year", "car_id")}}
        for each, row in zip(made, rows, strict=True)
    ]
    sent = [outcome(str(at), 4.9, **name) for at, name in enumerate(names)]
    forget_unfolded(service, monkeypatch)
    answer = send(service, sent)
    assert (answer.status_code, "never made" in answer.text) == (422, True)
    assert [fault["path"] for fault in answer.json()["faults"]] == ["/0/data"]
    assert send(service, sent[1:]).status_code == 201
    assert MARKER.encode() not in hashed(service)


def test_a_row_that_was_erased_a_moment_ago_is_unknown_to_labels(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given another process that folds, and has not come to the erasure, nobody is led to what is
    gone."""
    predict(service, OWNED)
    forget_unfolded(service, monkeypatch)
    named = {part.partition("=")[0] for part in KEY.split("|")}
    known = outcome("2", 4.9, identity={name: OWNED[name] for name in named})
    answer = send(service, known)
    assert (answer.status_code, "never made a prediction" in answer.text) == (422, True)


def test_a_row_that_was_erased_during_an_upload_stands_no_more(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = process_behind(service).ledger
    send(service, observation("1", owner=MARKER))
    standing = StandingRows(ledger, "car-price")
    assert standing.look([KEY])[0].keys() == {KEY}
    forget_unfolded(service, monkeypatch)
    assert standing.look([KEY]) == ({}, frozenset())


def test_an_upload_sees_what_there_was_although_rows_are_folded_anew_meanwhile(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = process_behind(service).ledger
    send(service, observation("1", owner=MARKER))
    standing = StandingRows(ledger, "car-price")
    before = standing.look([KEY])
    monkeypatch.setattr(ledger.rows, "always", False)
    folded, waited = ledger.rows.folded, 0

    def begun_anew(connection: Connection) -> int:
        nonlocal waited
        waited += 1
        return folded(connection) if waited > 3 else 0

    monkeypatch.setattr(ledger.rows, "folded", begun_anew)
    assert standing.look([KEY]) == before
    assert waited > 3


def test_the_same_file_again_brings_nothing_back_and_bad_rows_are_not_shown(
    service: TestClient, sqlite_settings: Settings
) -> None:
    good = f"1976,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,{MARKER},4.935802"
    bad = f"1976,130,AMGREM71,-77.5,1.888146,1.697,1.1502,0,US,{MARKER},4.935802"

    def upload() -> dict[str, Any]:
        answer = service.post(
            "/models/car-price/datasets",
            content="\n".join((HEADER, good, bad)).encode(),
            headers={"Content-Type": "text/csv"},
        )
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    first = upload()
    assert (first["accepted"], first["quarantined"]) == (1, 1)
    kept = Path(sqlite_settings.state_dir, "quarantine", first["quarantine_file"]).read_text()
    assert json.loads(kept) == {"line": 3, "reasons": ["hpwt: out of range"], "row": []}
    assert "-77.5" not in json.dumps(first)
    forget(service)
    assert (upload()["accepted"], MARKER.encode() in hashed(service)) == (0, False)


def test_a_persons_rows_among_those_of_others_go_alone_and_no_repetition_brings_them_back(
    service: TestClient, sqlite_settings: Settings
) -> None:
    keyed = {"Idempotency-Key": "both"}
    made = predict(service, OTHER, OWNED, **keyed)["predictions"]
    seen = [observation("1", **OTHER), observation("2", owner=MARKER)]
    labels = [
        outcome(f"of {each['prediction_id']}", 4.9, prediction_id=each["prediction_id"])
        for each in made
    ]
    file = "\n".join(
        [HEADER]
        + [
            f"1976,{car},AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,{owner},5.5"
            for car, owner in ((130, ""), (129, MARKER))
        ]
    )

    def upload() -> int:
        answer = service.post(
            "/models/car-price/datasets", content=file, headers={"Content-Type": "text/csv"}
        )
        return int(answer.json()["accepted"])

    assert [send(service, batch).status_code for batch in (seen, labels)] == [201, 201]
    assert upload() == 2
    before = entries(service)
    assert (MARKER.encode() in hashed(service), KEY.encode() in hashed(service)) == (False, False)

    forget(service)

    assert holders(sqlite_settings.state_dir, MARKER.encode(), KEY.encode()) == []
    after = entries(service)
    about = [each for each in before if each.get("data", {}).get("identity") == KEY]
    assert len(about) == 4
    for was, now in zip(before, after, strict=False):
        left = {name: was[name] for name in ("id", "source", "sequence", "type")}
        assert now == was if was not in about else now.items() >= left.items()
        assert now.get("erased", False) == (was in about)
    again = service.post(
        "/predictions", json={"model": "car-price", "rows": [OTHER, OWNED]}, headers=keyed
    )
    assert again.status_code == 422
    for batch in (seen, labels):
        assert [send(service, one).status_code for one in batch] == [201, 409]
        assert send(service, batch).status_code == 409
    assert upload() == 0
    assert [*entries(service)[: len(after)]] == after
    assert holders(sqlite_settings.state_dir, MARKER.encode(), KEY.encode()) == []
