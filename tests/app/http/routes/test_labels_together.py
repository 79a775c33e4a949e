"""Labels judged together are recorded and answered as each of them is alone, or left to that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.cause import Cause
from app.clock import new_id
from app.intake.observations import FEW, Observations
from domain.errors import WhyledgerError
from tests.app.http.routes.running import (
    AMC,
    observation,
    outcome,
    predict,
    process_behind,
    send,
)

ROWS = [{**AMC, "car_id": car} for car in range(FEW + 3)]
LABELS = [car + 0.5 if car % 2 else car + 1 for car in range(len(ROWS))]
Change = Callable[[list[Any]], Any]


def by_row(client: TestClient) -> list[dict[str, Any]]:
    """Labels of rows, each predicted twice."""
    predict(client, *ROWS)
    predict(client, *ROWS[:3])
    for row in ROWS[3:6]:
        predict(client, row)
    return [
        outcome(f"n-{row['car_id']}", label, identity={"car_id": row["car_id"], "year": 1976})
        for row, label in zip(ROWS, LABELS, strict=True)
    ]


def by_id(client: TestClient) -> list[dict[str, Any]]:
    """Labels of predictions."""
    made = predict(client, *ROWS)["predictions"]
    return [
        outcome(f"i-{at}", label, prediction_id=each["prediction_id"].upper())
        for at, (each, label) in enumerate(zip(made, LABELS, strict=True))
    ]


def with_times(client: TestClient) -> list[dict[str, Any]]:
    """Some of them became known at a time that is said."""
    sent = by_id(client)
    for each in sent[::2]:
        each["time"] = "2020-01-02T03:04:05+01:00"
    return sent


KINDS = (by_row, by_id, with_times)


def each_alone(observations: Observations, sent: list[Any]) -> list[Any] | type[WhyledgerError]:
    """What is to be appended of them one by one, or what they are refused with."""
    cause = Cause.unauthenticated(new_id())
    try:
        judged = observations._judge_each(sent, True, cause)
    except WhyledgerError as refusal:
        return type(refusal)
    return [new for append in judged.appends for new in append.events]


@pytest.mark.parametrize("told", KINDS)
def test_they_are_what_each_is_alone(
    service: TestClient, told: Callable[[TestClient], list[dict[str, Any]]]
) -> None:
    sent = told(service)
    observations = process_behind(service).observations
    together = observations._judge_together(sent)
    assert together is not None
    alone = each_alone(observations, sent)
    assert [together.event(index) for index in range(len(together))] == alone


@pytest.mark.parametrize("told", KINDS)
def test_they_are_answered_in_their_order_and_again(
    service: TestClient, told: Callable[[TestClient], list[dict[str, Any]]]
) -> None:
    """Given the same batch twice, and once more with one that is new, each has its first answer."""
    sent = told(service)
    first = send(service, sent)
    assert first.status_code == 201, first.text
    recorded = first.json()["recorded"]
    assert [each["source_id"] for each in recorded] == [each["id"] for each in sent]
    assert [each["row"] for each in recorded] == [*range(len(sent))]
    assert send(service, sent).json() == first.json()
    new = {**sent[3], "id": "new"}
    again = send(service, [*sent, new]).json()["recorded"]
    assert again[:-1] == recorded
    assert again[-1]["position"] == recorded[0]["position"] + 1


def _other(**fields: Any) -> Change:
    return lambda sent: sent[5].update(fields)


def _data(**fields: Any) -> Change:
    return lambda sent: sent[5]["data"].update(fields)


OTHERWISE: dict[str, tuple[Change, int]] = {  # what is changed, and how the batch is answered
    "an observation": (lambda sent: sent.append(observation("o", car_id=99)), 201),
    "another source": (_other(source="/others"), 201),
    "an attribute of its own": (_other(team="a"), 201),
    "the same twice": (lambda sent: sent.append(sent[4]), 201),
    "one id with two bodies": (
        lambda sent: sent.append({**sent[4], "time": "2020-01-01T00:00:00Z"}),
        409,
    ),
    "what is not printable": (_other(id="a\tb"), 422),
    "what is not ASCII": (_other(id="é"), 201),
    "a time to come": (_other(time="2999-01-01T00:00:00Z"), 422),
    "no time": (_other(time="soon"), 422),
    "no event": (lambda sent: sent.append(7), 422),
    "another model": (_data(model="nowhere"), 404),
    "a label that is none": (_data(label=True), 422),
    "a label as text": (_data(label="4"), 422),
    "an impossible label": (_data(label=-1), 422),
    "no label": (lambda sent: sent[5]["data"].pop("label"), 422),
    "a field too many": (_data(more=1), 422),
    "both names": (_data(prediction_id="p", identity={"car_id": 5, "year": 1976}), 422),
    "a row nobody asked about": (
        lambda sent: sent[5].update(outcome("x", 4.0, identity={"car_id": 555, "year": 1976})),
        422,
    ),
    "a prediction nobody made": (
        lambda sent: sent[5].update(outcome("x", 4.0, prediction_id=new_id())),
        422,
    ),
    "a prediction that is none": (
        lambda sent: sent[5].update(outcome("x", 4.0, prediction_id="none")),
        422,
    ),
}


@pytest.mark.parametrize(("change", "status"), OTHERWISE.values(), ids=OTHERWISE)
@pytest.mark.parametrize("told", [by_row, by_id])
def test_what_is_not_ordinary_is_left_to_who_judges_one_by_one(
    lone_service: TestClient,
    told: Callable[[TestClient], list[dict[str, Any]]],
    change: Change,
    status: int,
) -> None:
    sent = told(lone_service)
    change(sent)
    assert process_behind(lone_service).observations._judge_together(sent) is None
    assert send(lone_service, sent).status_code == status


def test_labels_named_in_two_ways_are_judged_one_by_one(lone_service: TestClient) -> None:
    sent = by_id(lone_service)[:10] + by_row(lone_service)[10:]
    assert process_behind(lone_service).observations._judge_together(sent) is None
    assert send(lone_service, sent).status_code == 201


@pytest.mark.parametrize("known", [len(ROWS), 7, 1])
def test_whoever_is_second_at_the_same_moment_is_answered_as_the_first(
    service: TestClient, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    """Given some of a batch that others recorded after the ledger was asked about them."""
    sent = by_row(service)
    first = send(service, sent[:known]).json()["recorded"]
    monkeypatch.setattr(process_behind(service).ledger, "known", lambda _: {})
    answer = send(service, sent)
    assert answer.status_code == 201, answer.text
    recorded = answer.json()["recorded"]
    assert recorded[:known] == first
    assert [each["source_id"] for each in recorded] == [each["id"] for each in sent]
    assert [each["row"] for each in recorded[known:]] == [*range(len(sent) - known)]
