"""Every fault of every body points into that body, however its keys are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.intake.documents import parse_document
from app.settings import Settings
from domain.faults import Fault
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    CLOUDEVENT,
    CLOUDEVENTS,
    STRICT_AND,
    adopt,
    observation,
    outcome,
    running,
    serve_champion,
)
from tests.domain.fault_places import broken, leads_nowhere

JSON = "application/json"
# What is sent is one of these, broken somewhere, and often somewhere deep; none starts a cycle.
BODIES: list[tuple[str, str, Any]] = [
    ("/contracts", JSON, parse_document(CAR_PRICE, name="it")),
    ("/policies", JSON, parse_document(STRICT_AND, name="it")),
    ("/predictions", JSON, {"model": "car-price", "row": AMC}),
    ("/predictions", JSON, {"model": "car-price", "rows": [AMC, {**AMC, "a/b": {"~": 1}}]}),
    ("/events", CLOUDEVENT, observation("1")),
    ("/events", CLOUDEVENT, outcome("1", 5.2, identity={"year": 1976, "car_id": 129})),
    ("/events", CLOUDEVENTS, [observation("1"), outcome("2", 5.2, prediction_id="x")]),
    ("/models/car-price/rollbacks", JSON, {"to": "car-price/1", "reason": "x", "a/b": [{}]}),
    ("/models/nobody/cycles", JSON, {"as_of": "x", "force": {"reason": "", "~": {}}}),
]


@pytest.fixture(scope="module")
def broken_into(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with running(Settings(state_dir=tmp_path_factory.mktemp("broken"))) as client:
        adopt(client)
        serve_champion(client)
        yield client


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    sent=st.sampled_from(BODIES).flatmap(
        lambda each: st.tuples(st.just(each[0]), st.just(each[1]), broken(each[2]))
    ),
    scrambled=st.booleans(),
)
def test_every_fault_points_into_what_was_sent(
    broken_into: TestClient, sent: tuple[str, str, Any], scrambled: bool
) -> None:
    path, kind, document = sent
    content = json.dumps(document)
    if scrambled:
        content = content.replace("1976", "NaN").replace('"car-price"', '"\\u0000"')
    answer = broken_into.post(path, content=content, headers={"Content-Type": kind})
    faults = [Fault(**fault) for fault in answer.json().get("faults", ())]
    assert not [fault for fault in faults if leads_nowhere(fault, document)], answer.text


def test_a_query_parameter_is_pointed_at_by_its_name(broken_into: TestClient) -> None:
    for method, path in (("GET", "/models"), ("POST", "/predictions")):
        answer = broken_into.request(method, f"{path}?a/b~=1")
        assert [fault["path"] for fault in answer.json()["faults"]] == ["/query/a~1b~0"]
    answer = broken_into.get("/events?limit=0")
    assert answer.json()["faults"] == [
        {
            "path": "/query/limit",
            "message": "'0': should be greater than or equal to 1; correct it",
            "value": "0",
        }
    ]
