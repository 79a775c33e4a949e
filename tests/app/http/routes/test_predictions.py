"""POST /predictions: durable before its answer, all rows or none, a retry answered alike."""

from __future__ import annotations

import math
import threading

import pytest
from fastapi.testclient import TestClient

from app.cause import Cause
from app.http.routes.predictions import PredictionAnswer, PredictionsAnswer
from app.intake.predictions import UnderWay
from app.ledger.store import NewEvent, StreamAppend
from domain.blocks.ids import keyed_event_id
from domain.canonical import digest
from domain.errors import RequestInFlight
from domain.events.events import PredictionMade
from tests.app.http.routes.running import (
    AMC,
    adopt,
    events_of,
    predict,
    process_behind,
    serve_champion,
)
from tests.plausible import TIME, an


def test_a_row_is_answered_with_prediction_version_plan_id_and_position(
    service: TestClient,
) -> None:
    answer = service.post("/predictions", json={"model": "car-price", "row": AMC})
    assert answer.status_code == 200
    body = answer.json()
    process = process_behind(service)
    assert body["model_version"] == "car-price/1"
    assert body["plan_digest"] == process.champions.of("car-price").ready().plan.sha256
    (made,) = body["predictions"]
    assert made["prediction"] == math.exp(0.25 + 0.5 * AMC["hpwt"] + 1)  # type: ignore[operator]
    assert made["identity"] == "year=1976|car_id=129"
    entry = process.ledger.entry(made["position"])
    assert entry.id == made["prediction_id"]
    assert entry.occurred_at == "1976-07-01T00:00:00.000000Z"
    assert entry.actor == "local:unauthenticated"


def test_many_rows_are_answered_in_order_and_like_one_row_alone(service: TestClient) -> None:
    other = {**AMC, "car_id": 130, "hpwt": 0.4, "region": "JP"}
    both = predict(service, AMC, other)["predictions"]
    assert [made["identity"] for made in both] == ["year=1976|car_id=129", "year=1976|car_id=130"]
    assert both[1]["unknown_categories"] == ["region"]
    assert both[1]["prediction"] == predict(service, other)["predictions"][0]["prediction"]
    assert both[1]["position"] == both[0]["position"]


@pytest.mark.parametrize("headers", [{}, {"Prefer": "receipt"}])
def test_an_answer_has_exactly_the_fields_its_document_declares(
    service: TestClient, headers: dict[str, str]
) -> None:
    body = predict(service, AMC, **headers)
    fields, each = set(PredictionsAnswer.model_fields), set(PredictionAnswer.model_fields)

    assert (
        PredictionsAnswer.model_validate(body, strict=True).model_dump(exclude_unset=True) == body
    )
    assert set(body) == fields
    assert set(body["predictions"][0]) == each - ({"receipt"} if not headers else set())


def test_a_retry_under_the_same_key_gets_the_first_answer_even_after_a_promotion(
    service: TestClient,
) -> None:
    first = predict(service, AMC, {**AMC, "car_id": 7}, **{"Idempotency-Key": "k-1"})
    serve_champion(service, 2, intercept=0.5)
    size = process_behind(service).ledger.size()
    assert predict(service, AMC, {**AMC, "car_id": 7}, **{"Idempotency-Key": "k-1"}) == first
    assert process_behind(service).ledger.size() == size
    assert predict(service, AMC)["model_version"] == "car-price/2"


@pytest.mark.parametrize("rows", [[AMC], [AMC, AMC, AMC], [{**AMC, "car_id": 1}, AMC]])
def test_a_key_used_with_another_body_is_refused(
    service: TestClient, rows: list[dict[str, object]]
) -> None:
    predict(service, AMC, {**AMC, "car_id": 7}, **{"Idempotency-Key": "k-2"})
    answer = service.post(
        "/predictions",
        json={"model": "car-price", "rows": rows},
        headers={"Idempotency-Key": "k-2"},
    )
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:whyledger:problem:idempotency-key-reused"
    assert "Draw a new key" in answer.json()["detail"]


def test_a_key_of_rows_that_once_had_an_entry_each_gets_the_first_answer(
    service: TestClient,
) -> None:
    rows = [AMC, {**AMC, "car_id": 7}]
    body = {"model": "car-price", "rows": rows}
    as_they_were = tuple(
        NewEvent(
            event=an(PredictionMade, model="car-price", identity=f"old {index}"),
            id=keyed_event_id("k-3", index),
            occurred_at=TIME,
            request_digest=bytes.fromhex(digest(body)),
        )
        for index in range(2)
    )
    append = StreamAppend("predictions-car-price", as_they_were, None)
    process_behind(service).ledger.append([append], Cause.unauthenticated("1"))

    again = predict(service, *rows, **{"Idempotency-Key": "k-3"})["predictions"]

    assert [each["identity"] for each in again] == ["old 0", "old 1"]
    for other in ([AMC], [*rows, AMC]):
        answer = service.post(
            "/predictions",
            json={"model": "car-price", "rows": other},
            headers={"Idempotency-Key": "k-3"},
        )
        assert answer.json()["type"] == "urn:whyledger:problem:idempotency-key-reused"


def test_a_key_still_in_flight_is_refused() -> None:
    under_way = UnderWay()
    with under_way.claim("k"):
        with pytest.raises(RequestInFlight, match="'k' is being answered"):
            with under_way.claim("k"):
                raise AssertionError("claimed twice")
    with under_way.claim("k"):
        pass  # free again


def test_the_same_key_from_many_threads_is_recorded_once(lone_service: TestClient) -> None:
    answers: list[int] = []

    def ask() -> None:
        answer = lone_service.post(
            "/predictions",
            json={"model": "car-price", "row": AMC},
            headers={"Idempotency-Key": "race"},
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 in answers
    assert set(answers) <= {200, 409}
    assert len(events_of(lone_service, "predictions.prediction-made")) == 1


def test_one_bad_row_refuses_all_and_lists_every_bad_one(service: TestClient) -> None:
    rows = [AMC, {**AMC, "hpwt": 99}, AMC, {**AMC, "colour": "red", "mpg": None}]
    size = len(events_of(service, "predictions.prediction-made"))
    answer = service.post("/predictions", json={"model": "car-price", "rows": rows})
    assert answer.status_code == 422
    problem = answer.json()
    assert {fault["path"] for fault in problem["faults"]} == {
        "/rows/1/hpwt",
        "/rows/3/mpg",
        "/rows/3/colour",
    }
    assert "99" in problem["faults"][0]["message"]
    assert len(events_of(service, "predictions.prediction-made")) == size
    (refused,) = events_of(service, "observations.rows-refused")
    assert refused["rows"] == 2
    assert refused["door"] == "predictions"
    assert sum(refused["reasons"].values()) == 3


def test_the_target_is_not_part_of_a_prediction(lone_service: TestClient) -> None:
    answer = lone_service.post(
        "/predictions", json={"model": "car-price", "row": {**AMC, "price": 4.9}}
    )
    assert answer.status_code == 422
    assert "is the target; send it as an outcome" in answer.json()["faults"][0]["message"]


def test_without_a_champion_the_answer_is_503_with_retry_after(empty_service: TestClient) -> None:
    adopt(empty_service)
    answer = empty_service.post("/predictions", json={"model": "car-price", "row": AMC})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "no champion yet. Start a cycle" in answer.json()["detail"]


def test_an_unknown_model_is_404_and_says_what_to_do(empty_service: TestClient) -> None:
    answer = empty_service.post("/predictions", json={"model": "boat-price", "row": {}})
    assert answer.status_code == 404
    assert "'boat-price' is unknown. Adopt a contract" in answer.json()["detail"]


def test_the_clients_request_id_is_kept_and_echoed(service: TestClient) -> None:
    answer = service.post(
        "/predictions",
        json={"model": "car-price", "row": AMC},
        headers={"X-Request-Id": "order-17"},
    )
    assert answer.headers["X-Request-Id"] == "order-17"
    assert answer.json()["request_id"] == "order-17"
    assert events_of(service, "predictions.prediction-made")[-1]["request_id"] == "order-17"
