"""POST /events: observations and outcomes, all of a batch or none. GET /events: the ledger."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from app.clock import latest_taken, now
from app.http.routes.events import EventsAnswer, RecordedEvent
from app.projections.label_rows import labelled_rows
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
from tests.app.many_rows import predictions, put_many
from tests.ledger_events import put, refused


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


@pytest.mark.parametrize("headers", [{}, {"Prefer": "receipt"}])
def test_an_answer_is_to_the_letter_what_is_declared_of_it(
    service: TestClient, headers: dict[str, str]
) -> None:
    body = service.post(
        "/events",
        content=orjson.dumps([observation(f"{car}", car_id=car) for car in (1, 2)]),
        headers={"Content-Type": CLOUDEVENTS, **headers},
    ).json()
    answer = EventsAnswer.model_validate(body, strict=True)
    assert answer.model_dump(exclude_unset=True) == body
    asked = {"receipt"} if headers else set()
    assert set(body["recorded"][0]) == set(RecordedEvent.model_fields) - {"receipt"} | asked


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
    alone, shared = seen[:-5], seen[-5:]
    assert [event["sequence"] for event in alone] == [str(at) for at in range(size - 1)]
    assert [event["sequence"] for event in shared] == [f"{size - 1}.{row:05d}" for row in range(5)]
    assert {event["specversion"] for event in seen} == {"1.0"}
    assert seen[-1]["type"] == "org.whyledger.observations.observation-recorded.v2"
    assert seen[-1]["subject"] == "observations-car-price"
    assert seen[-1]["data"]["source_id"] == "4"
    assert all(name.isalnum() and name.islower() for event in seen for name in event)


def listed_at(client: TestClient, url: str) -> list[dict[str, Any]]:
    """All events behind a cursor, whatever pages they come in."""
    return [event for page in pages(client, url) for event in page]


def test_rows_of_many_in_one_entry_are_events_of_their_own_from_page_to_page(
    service: TestClient,
) -> None:
    ledger = process_behind(service).ledger
    put_many(ledger, predictions(1, 2, 3), "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe")
    put(ledger, "observations-cars", refused())
    position = ledger.size() - 2
    listed = listed_at(service, f"/events?cursor={position - 1}")

    assert [each["sequence"] for each in listed] == [
        *(f"{position}.{row:05d}" for row in range(3)),
        str(position + 1),
    ]
    assert [each["type"] for each in listed[:3]] == [
        "org.whyledger.predictions.prediction-made.v1"
    ] * 3
    assert [each["data"]["identity"] for each in listed[:3]] == ["car=1", "car=2", "car=3"]
    assert [each["id"][-4:] for each in listed[:3]] == ["fffe", "ffff", "0000"]
    for limit in (1, 2, 3):
        paged = pages(service, f"/events?cursor={position - 1}&limit={limit}")
        assert [event for page in paged for event in page] == listed
        assert all(len(page) <= limit for page in paged)
    assert listed_at(service, f"/events?cursor={position}") == listed[3:]
    assert listed_at(service, f"/events?cursor={position}.00001") == listed[2:]


def test_an_entry_of_many_rows_can_be_read_whole(service: TestClient) -> None:
    ledger = process_behind(service).ledger
    entry = put_many(ledger, predictions(1, 2, 3))
    [whole] = listed_at(service, f"/events?cursor={entry.position - 1}&whole=true")
    assert (whole["sequence"], whole["data"]["rows"]) == (str(entry.position), 3)
    assert whole["type"] == "org.whyledger.predictions.predictions-made.v1"
    assert whole["time"] == entry.occurred_at


@pytest.mark.parametrize("cursor", ["-2", "1.5", "1.000000", "x", "1" * 17, ".00001", "1.", "+1"])
def test_a_cursor_is_the_sequence_of_an_event(service: TestClient, cursor: str) -> None:
    answer = service.get("/events", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == "/query/cursor"
