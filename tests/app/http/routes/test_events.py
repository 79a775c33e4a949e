"""POST /events: observations and outcomes, all of a batch or none. GET /events: the ledger."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.clock import latest_taken, now
from app.projections.labels import labelled_rows
from tests.app.http.routes.running import (
    AMC,
    CLOUDEVENT,
    CLOUDEVENTS,
    events_of,
    observation,
    outcome,
    pages,
    predict,
    process_behind,
    send,
)


def labels(client: TestClient) -> dict[str, float]:
    with process_behind(client).ledger.connect() as connection:
        rows = labelled_rows(connection, "car-price", before="9999-01-01", up_to=10**9)
    return {row.identity: row.label for row in rows}


def test_an_observation_is_recorded_with_source_and_id(service: TestClient) -> None:
    answer = send(service, observation("129"))
    assert answer.status_code == 201
    (recorded,) = answer.json()["recorded"]
    assert (recorded["source"], recorded["source_id"]) == ("/tests", "129")
    entry = process_behind(service).ledger.entry(recorded["position"])
    assert entry.id == recorded["id"]
    assert entry.occurred_at == "1976-07-01T00:00:00.000000Z"
    assert labels(service) == {"year=1976|car_id=129": 4.935802}


def test_an_outcome_labels_a_prediction_by_its_id(service: TestClient) -> None:
    made = predict(service, AMC)["predictions"][0]
    assert send(service, outcome("1", 5.2, prediction_id=made["prediction_id"])).status_code == 201
    assert labels(service) == {"year=1976|car_id=129": 5.2}


@pytest.mark.parametrize("year", [1976, 1976.0])
def test_an_outcome_labels_a_prediction_by_the_rows_identity(
    service: TestClient, year: float
) -> None:
    predict(service, AMC)
    event = outcome("1", 5.2, identity={"year": year, "car_id": 129})
    assert send(service, {**event, "time": "1977-02-01T00:00:00+01:00"}).status_code == 201
    assert labels(service) == {"year=1976|car_id=129": 5.2}
    last = process_behind(service).ledger.read()[-1]
    assert last.occurred_at == "1977-01-31T23:00:00.000000Z"


def test_a_label_that_becomes_known_after_now_is_refused(service: TestClient) -> None:
    predict(service, AMC)
    event = outcome("1", 5.2, identity={"year": 1976, "car_id": 129})
    answer = send(service, {**event, "time": "9999-01-01T00:00:00Z"})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == "/time"
    assert "is after now (" in answer.json()["detail"]


def test_a_label_from_a_clock_a_little_ahead_of_ours_is_taken(lone_service: TestClient) -> None:
    predict(lone_service, AMC)
    event = outcome("1", 5.2, identity={"year": 1976, "car_id": 129})
    answer = send(lone_service, {**event, "time": latest_taken(4.0)})
    assert answer.status_code == 201
    later = {**event, "id": "2", "time": latest_taken(60.0)}
    assert "is after now" in send(lone_service, later).text


def test_a_row_of_a_year_to_come_is_refused_at_every_door(lone_service: TestClient) -> None:
    year = int(now()[:4])
    body = {"model": "car-price", "row": {**AMC, "year": year + 1}}
    refused = [
        lone_service.post("/predictions", json=body),
        send(lone_service, observation("1", year=year + 1)),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert f"is {year + 1}, after now (" in answer.json()["faults"][0]["message"]
    assert send(lone_service, observation("2", year=year)).status_code == 201


def test_a_refusal_is_said_with_one_full_stop_a_sentence(service: TestClient) -> None:
    unknown = outcome("1", 5.2, prediction_id="nobody")
    untimely = {**observation("2"), "time": "yesterday"}
    for sent in (unknown, untimely, [unknown, untimely]):
        detail = send(service, sent).json()["detail"]
        assert "Nothing was kept (events sent: " in detail
        assert not {"..", ".;"} & {detail[i : i + 2] for i in range(len(detail))}


def test_a_later_label_is_a_correction_and_wins(service: TestClient) -> None:
    made = predict(service, AMC)["predictions"][0]
    send(service, outcome("1", 5.2, prediction_id=made["prediction_id"]))
    send(service, outcome("2", 5.4, prediction_id=made["prediction_id"]))
    assert labels(service) == {"year=1976|car_id=129": 5.4}


def test_the_same_event_again_gets_the_first_answer_and_appends_nothing(
    service: TestClient,
) -> None:
    first = send(service, observation("129")).json()
    size = process_behind(service).ledger.size()
    assert send(service, observation("129")).json() == first
    batch = send(service, [observation("129"), observation("129")]).json()
    assert batch["recorded"] == first["recorded"] * 2
    assert process_behind(service).ledger.size() == size


def test_the_same_id_with_another_body_is_a_conflict(service: TestClient) -> None:
    send(service, observation("129"))
    answer = send(service, observation("129", price=5.0))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:whyledger:problem:idempotency-conflict"
    assert answer.json()["faults"][0]["path"] == "/id"
    two = send(service, [observation("7"), observation("7", price=5.0)])
    assert two.status_code == 409
    assert two.json()["faults"][0]["path"] == "/1/id"


def test_a_label_for_an_unknown_prediction_is_422(service: TestClient) -> None:
    unknown = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
    answer = send(service, outcome("1", 5.2, prediction_id=unknown))
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:whyledger:problem:unknown-prediction"
    assert f"never made prediction '{unknown}'" in answer.json()["detail"]
    by_row = send(service, outcome("1", 5.2, identity={"year": 1976, "car_id": 1}))
    assert by_row.status_code == 422


def test_a_prediction_is_never_a_label(service: TestClient) -> None:
    predict(service, AMC)
    assert labels(service) == {}


def test_a_batch_is_all_or_nothing_and_lists_every_bad_index(service: TestClient) -> None:
    made = predict(service, AMC)["predictions"][0]
    batch = [
        outcome("0", 5.2, prediction_id=made["prediction_id"]),
        observation("1", hpwt=99),
        outcome("2", 5.2, prediction_id="nobody"),
        {"specversion": "0.3"},
        observation("4", colour="red"),
        outcome("5", -1, prediction_id=made["prediction_id"]),
        {**observation("6"), "type": "org.example.other"},
        {**outcome("7", 5.2, prediction_id="x"), "data": {"model": "boat-price", "label": 1}},
    ]
    size = process_behind(service).ledger.size()
    answer = send(service, batch)
    assert answer.status_code == 422
    assert {fault["path"].split("/")[1] for fault in answer.json()["faults"]} == set("1234567")
    assert labels(service) == {}
    (refused,) = events_of(service, "observations.rows-refused")
    assert (refused["door"], refused["rows"]) == ("events", 3)
    assert process_behind(service).ledger.size() == size + 1


@pytest.mark.parametrize(
    ("event", "content_type", "status"),
    [
        (observation("1"), CLOUDEVENT, 201),
        (observation("1"), "application/json", 201),
        ([observation("1")], CLOUDEVENTS, 201),
        ([observation("1")], "application/json; charset=utf-8", 201),
        ([observation("1")], CLOUDEVENT, 422),
        (observation("1"), CLOUDEVENTS, 422),
        ([], CLOUDEVENTS, 422),
        (observation("1"), "text/plain", 415),
        (observation("1"), "application/json; charset=latin-1", 415),
    ],
)
def test_the_content_type_says_whether_one_event_comes_or_many(
    lone_service: TestClient, event: Any, content_type: str, status: int
) -> None:
    assert send(lone_service, event, content_type).status_code == status


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"label": 5, "identity": {"year": 1976}}, "/data/identity"),
        ({"label": 5, "identity": {"year": 1976, "car_id": 1.5}}, "/data/identity/car_id"),
        ({"label": 5, "identity": {"year": 1976, "car_id": True}}, "/data/identity/car_id"),
        ({"label": 5}, "/data"),
        ({"label": 5, "identity": {}, "prediction_id": "x"}, "/data"),
        ({"label": "5", "identity": {"year": 1976, "car_id": 129}}, "/data/label"),
        ({"label": None, "identity": {"year": 1976, "car_id": 129}}, "/data/label"),
        ({"label": True, "identity": {"year": 1976, "car_id": 129}}, "/data/label"),
        ({"label": 501, "identity": {"year": 1976, "car_id": 129}}, "/data/label"),
        ({"label": 5, "prediction_id": 7}, "/data/prediction_id"),
        ({"label": 5, "prediction_id": "x", "colour": "red"}, "/data/colour"),
    ],
)
def test_a_wrong_outcome_is_refused_where_it_is_wrong(
    lone_service: TestClient, data: dict[str, object], path: str
) -> None:
    predict(lone_service, AMC)
    event = {**outcome("1", 5), "data": {"model": "car-price", **data}}
    answer = send(lone_service, event)
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == path


def test_everything_goes_out_by_position_as_cloudevents(service: TestClient) -> None:
    send(service, [observation(str(n), car_id=n) for n in range(5)])
    size = process_behind(service).ledger.size()
    assert service.get("/events").headers["content-type"].startswith(CLOUDEVENTS)
    seen = [event for page in pages(service, "/events?limit=3") for event in page]
    assert [int(event["sequence"]) for event in seen] == list(range(size))
    assert {event["specversion"] for event in seen} == {"1.0"}
    assert seen[-1]["type"] == "org.whyledger.observations.observation-recorded.v2"
    assert seen[-1]["subject"] == "observations-car-price"
    assert seen[-1]["data"]["source_id"] == "4"
    assert all(name.isalnum() and name.islower() for event in seen for name in event)
