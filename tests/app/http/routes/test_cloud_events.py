"""CloudEvents in every form: structured, batch and binary, with whatever attributes they have."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from domain.events.envelope import event_data
from tests.app.http.routes.running import (
    AMC,
    CLOUDEVENTS,
    adopt,
    events_of,
    observation,
    outcome,
    predict,
    process_behind,
    running,
    send,
    serve_champion,
)

OBSERVED = "observations.observation-recorded"


def send_binary(client: TestClient, event: dict[str, Any], **headers: str) -> Any:
    """The event in binary mode."""
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    sent = {"Content-Type": "application/json", **attributes, **headers}
    return client.post("/events", content=orjson.dumps(event["data"]), headers=sent)


def test_attributes_that_nobody_here_knows_are_kept_with_the_event(service: TestClient) -> None:
    extensions = {"traceparent": "00-ab-cd-01", "partitionkey": "7", "tries": 3, "last": True}
    answer = send(service, {**observation("1"), **extensions, "absent": None})
    assert answer.status_code == 201, answer.text
    (recorded,) = events_of(service, OBSERVED)
    assert recorded["extensions"] == extensions
    predict(service, AMC)
    labelled = outcome("2", 5.2, identity={"year": 1976, "car_id": 129})
    assert send(service, {**labelled, "tenant": "a"}).status_code == 201
    assert events_of(service, "observations.outcome-recorded")[0]["extensions"] == {"tenant": "a"}


@pytest.mark.parametrize(
    ("attribute", "saying"),
    [
        ({"Trace-Id": "a"}, "'Trace-Id' is no CloudEvents name; write 1 to 64 lower-case"),
        ({"trace": "a\u200b"}, "'trace' holds U+200B (ZERO WIDTH SPACE), which is not printable"),
        ({"trace": "x" * 1025}, "'trace' has 1025 characters; send at most 1024"),
        ({f"a{n}": n for n in range(51)}, "has 51 extension attributes; send at most 50"),
        ({"trace": {"a": 1}}, "should be"),
        ({"id": "a\u0007"}, "holds U+0007, which is not printable"),
        ({"datacontenttype": "text/xml"}, "should be application/json, or a type that ends in"),
    ],
)
def test_what_is_no_attribute_is_refused_by_name(
    lone_service: TestClient, attribute: dict[str, Any], saying: str
) -> None:
    answer = send(lone_service, {**observation("1"), **attribute})
    assert answer.status_code == 422
    assert saying in answer.text


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "application/vnd.cars+json"]
)
def test_the_type_of_the_data_may_have_parameters(lone_service: TestClient, kind: str) -> None:
    event = {**observation("1"), "datacontenttype": kind}
    assert send(lone_service, event).status_code == 201
    with_parameter = {"Content-Type": "application/cloudevents+json; charset=UTF-8"}
    content = orjson.dumps(observation("2"))
    assert lone_service.post("/events", content=content, headers=with_parameter).status_code == 201


def test_an_event_in_binary_mode_is_the_event_in_structured_mode(lone_service: TestClient) -> None:
    event = {**observation("1"), "tenant": "a"}
    answer = send_binary(lone_service, event)
    assert answer.status_code == 201, answer.text
    assert events_of(lone_service, OBSERVED)[0]["extensions"] == {"tenant": "a"}
    assert send(lone_service, event).json() == answer.json(), "(source, id) is the idempotency"
    encoded = send_binary(lone_service, {**observation("2"), "tenant": "%C3%A9%20%22"})
    assert encoded.status_code == 201
    assert events_of(lone_service, OBSERVED)[1]["extensions"] == {"tenant": 'é "'}
    broken = send_binary(lone_service, {**observation("3"), "tenant": "%ff"})
    assert "the header 'ce-tenant' is no percent-encoded UTF-8" in broken.json()["detail"]
    wrong = send_binary(lone_service, {**observation("4", hpwt=99)})
    assert wrong.json()["faults"][0]["path"] == "/data/row/hpwt"
    deep: object = 1
    for _ in range(62):  # in a row, in its data: 64 levels of a body, and one of the event
        deep = [deep]
    nested = send_binary(lone_service, observation("5", hpwt=deep))
    assert nested.status_code == 422
    assert "the data of an event is nested deeper than 63 levels" in nested.json()["detail"]


def test_what_one_instance_emits_another_takes_and_nothing_is_recorded_twice(
    lone_service: TestClient, sqlite_template: Any, tmp_path: Any
) -> None:
    """Given an instance with rows, predictions, labels and history, when all it emits is posted to
    another, then rows and labels stand there as the first has them, and the rest is counted."""
    send(lone_service, {**observation("1", car_id=1), "tenant": "a"})
    predict(lone_service, AMC, {**AMC, "car_id": 130})
    for id, car in (("2", 129), ("3", 130)):
        send(lone_service, outcome(id, 5.2, identity={"year": 1976, "car_id": car}))
    emitted = lone_service.get("/events?limit=500").json()
    with running(Settings(state_dir=tmp_path / "other")) as other:
        adopt(other)
        serve_champion(other)
        predict(other, AMC)

        def post(client: TestClient, events: Any) -> Any:
            headers = {"Content-Type": CLOUDEVENTS}
            return client.post("/events", content=orjson.dumps(events), headers=headers)

        answer = post(other, emitted)

        assert answer.status_code == 201, answer.text
        body = answer.json()
        assert [each["source_id"] for each in body["recorded"]] == ["1", "2"]
        assert body["passed_over"] == {
            "ledger.created": 1,
            "model.contract-adopted": 1,
            "model.candidate-promoted": 1,
            "predictions.prediction-made": 2,
            "labels of predictions that were not made here": 1,
        }
        assert len(body["recorded"]) + sum(body["passed_over"].values()) == len(emitted)
        assert events_of(other, OBSERVED) == events_of(lone_service, OBSERVED)
        size = process_behind(other).ledger.size()
        assert post(other, emitted).json()["recorded"] == body["recorded"]
        assert process_behind(other).ledger.size() == size, "posted again, it is known"
        back = [
            event
            for event in other.get("/events?limit=500").json()
            if event["type"].startswith("org.whyledger.observations.")
        ]
        size = process_behind(lone_service).ledger.size()
        home = post(lone_service, back)
        assert home.status_code == 201, home.text
        assert process_behind(lone_service).ledger.size() == size, "what comes home is known"
        own = post(other, back).json()
        assert own["passed_over"] == {"of this ledger itself": 2}
        changed = [{**emitted[-1], "data": {**emitted[-1]["data"], "label": 1.0}}]
        assert post(lone_service, changed).json()["passed_over"] == {"of this ledger itself": 1}
        forged = [event for event in emitted if event["type"].endswith("observation-recorded.v2")]
        forged[0]["data"]["row"]["price"] = 1.0
        assert post(other, forged).status_code == 409
    assert event_data(process_behind(lone_service).ledger.read(-1, 1)[0].event)
