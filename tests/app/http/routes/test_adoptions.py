"""POST /contracts and POST /policies: whole documents, once, or every fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from app.intake.adoption import ENTRIES_MAX, FIELDS_MAX
from app.intake.documents import parse_document
from domain.canonical import digest
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    STRICT_AND,
    events_of,
    predict,
    process_behind,
)

YAML = {"Content-Type": "application/yaml"}


def test_a_contract_is_adopted_once_and_then_already_so(service: TestClient) -> None:
    document = CAR_PRICE.replace(b"List price", b"The list price")
    first = service.post("/contracts", content=document, headers=YAML)
    assert first.status_code == 201
    body = first.json()
    assert body["name"] == "car-price"
    assert body["digest"] == digest(parse_document(document, name="it"))
    again = service.post("/contracts", content=document, headers=YAML)
    assert (again.status_code, again.json()) == (200, body)
    adopted = events_of(service, "model.contract-adopted")
    assert adopted[-1]["contract"]["title"].startswith("The list price")


def test_json_and_yaml_of_the_same_document_are_the_same(service: TestClient) -> None:
    document = parse_document(STRICT_AND, name="it")
    first = service.post("/policies", content=STRICT_AND, headers=YAML)
    again = service.post("/policies", json=document)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert events_of(service, "policy.adopted")[0]["document"] == document


def test_an_earlier_contract_may_come_back(service: TestClient) -> None:
    changed = CAR_PRICE.replace(b"List price", b"The list price")
    service.post("/contracts", content=changed, headers=YAML)
    back = service.post("/contracts", content=CAR_PRICE, headers=YAML)
    assert back.status_code == 201
    model = service.get("/models/car-price").json()
    assert model["contract_digest"] == back.json()["digest"]
    assert model["contract_position"] == back.json()["position"]


def test_a_wrong_contract_is_refused_with_every_fault_at_once(empty_service: TestClient) -> None:
    document = parse_document(CAR_PRICE, name="it")
    document["margin"] = -1
    document["features"][0]["possible"] = {"min": 3, "max": 2}
    document["identity"] = ["nowhere"]
    answer = empty_service.post("/contracts", content=json.dumps(document), headers=YAML)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:whyledger:problem:contract-invalid"
    paths = {fault["path"] for fault in problem["faults"]}
    assert {"/margin", "/identity/0"} <= paths
    assert any(path.startswith("/features/0") for path in paths)
    assert process_behind(empty_service).ledger.size() == 1


def test_a_policy_version_is_one_document_for_ever(empty_service: TestClient) -> None:
    empty_service.post("/policies", content=STRICT_AND, headers=YAML)
    other = STRICT_AND.replace(b"threshold: 50", b"threshold: 60")
    assert other != STRICT_AND
    refused = empty_service.post("/policies", content=other, headers=YAML)
    assert refused.status_code == 422
    assert "Give this one version 2" in refused.json()["detail"]
    newer = empty_service.post(
        "/policies", content=other.replace(b"version: 1", b"version: 2"), headers=YAML
    )
    assert newer.status_code == 201


@pytest.mark.parametrize("path", ["/contracts", "/policies"])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a list",
        b"{",
        b"a: 1\na: 2",
        b'{"a": NaN}',
        b"\xff\xfe",
        b"x: &a 1",
        b"!!python/object:os.system x",
        b"{}",
        b"contract: whyledger.contract/1",
    ],
)
def test_what_is_no_such_document_is_422(empty_service: TestClient, path: str, text: bytes) -> None:
    answer = empty_service.post(path, content=text, headers=YAML)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_document_of_another_content_type_is_415(empty_service: TestClient) -> None:
    answer = empty_service.post(
        "/contracts", content=CAR_PRICE, headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415
    assert "application/yaml" in answer.json()["detail"]


def test_a_champion_that_lacks_a_feature_of_the_new_contract_goes_on(
    lone_service: TestClient,
) -> None:
    wider = CAR_PRICE.replace(
        b"columns:\n",
        b"  - {name: doors, type: category, meaning: how many, categories: [2, 4], "
        b"unknown: accept}\n\ncolumns:\n",
        1,
    )
    assert lone_service.post("/contracts", content=wider, headers=YAML).status_code == 201
    assert predict(lone_service, {**AMC, "doors": 4})["model_version"] == "car-price/1"


def test_a_champion_that_needs_what_the_new_contract_lacks_is_503_and_an_alarm(
    lone_service: TestClient,
) -> None:
    document = parse_document(CAR_PRICE, name="it")
    document["features"] = [f for f in document["features"] if f["name"] != "mpg"]
    document["ignored"].append({"name": "mpg", "because": "no longer measured"})
    assert lone_service.post("/contracts", json=document).status_code == 201
    answer = lone_service.post("/predictions", json={"model": "car-price", "row": AMC})
    assert answer.status_code == 503
    assert "needs mpg (number)" in answer.json()["detail"]
    assert "needs mpg" in lone_service.get("/readyz").json()["alarms"]["car-price"]
    assert "needs mpg" in lone_service.get("/models/car-price/health").json()["alarm"]


@pytest.mark.parametrize(
    ("path", "document", "place", "kind", "most"),
    [
        ("/policies", lambda n: {"clauses": [1] * n}, "/clauses", "entries", ENTRIES_MAX),
        ("/contracts", lambda n: {"identity": ["a"] * n}, "/identity", "entries", ENTRIES_MAX),
        ("/contracts", lambda n: {f"k{m}": 1 for m in range(n)}, "", "fields", FIELDS_MAX),
        (
            "/contracts",
            lambda n: {"features": [{}, {f"k{m}": 1 for m in range(n)}]},
            "/features/1",
            "fields",
            FIELDS_MAX,
        ),
    ],
    ids=["a list", "another", "the top", "below"],
)
def test_a_document_that_is_crowded_in_one_place_is_refused_for_that_alone(
    empty_service: TestClient,
    path: str,
    document: Callable[[int], object],
    place: str,
    kind: str,
    most: int,
) -> None:
    said = f"has {most + 1} {kind}; write at most {most} in one place"
    crowded = empty_service.post(path, json=document(most + 1)).json()
    assert [(fault["path"], fault["message"]) for fault in crowded["faults"]] == [(place, said)]
    assert said in crowded["detail"]
    judged = empty_service.post(path, json=document(most)).json()
    assert len(judged["faults"]) > 1, "what else is wrong is said then"


def test_a_document_is_read_with_pauses_for_all_others(
    empty_service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.intake.giving_way._SLICE_SECONDS", 0.0)
    monkeypatch.setattr("app.intake.giving_way.time", SimpleNamespace(sleep=slept.append))
    assert empty_service.post("/contracts", content=CAR_PRICE, headers=YAML).status_code == 201
    assert len(slept) > CAR_PRICE.count(b"\n") / 10
