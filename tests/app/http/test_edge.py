"""The edge: nothing answers before it, nothing passes it twice, and it says who acts."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient

from app.main import EDGE, HOT, create_app
from app.settings import Settings
from tests.app.http.layers import CountEverybody, NameEverybody, NoRoom, RefuseEverybody
from tests.app.http.routes.every_route import ASK_NOTHING, EVERY
from tests.app.http.routes.running import (
    AMC,
    STRICT_AND,
    adopt,
    observation,
    process_behind,
    running,
    serve_champion,
)

NOBODY = 65534
NO_RIGHT = ("unable to open database file", "Permission denied")  # as SQLite and the system say it
CSV = {"Content-Type": "text/csv"}
YAML = {"Content-Type": "application/yaml"}


def doors(settings: Settings) -> list[tuple[str, str]]:
    """Method and path of everything the application answers, and of what it does not know."""
    routes = iter_route_contexts(create_app(settings).routes)
    found = {
        (method, re.sub(r"\{[^}]*\}", "1", route.path or ""))
        for route in routes
        for method in route.methods or ()
    }
    beside = {("GET", "/static/whyledger.css"), ("GET", "/nowhere"), ("DELETE", "/models")}
    return sorted(found | set(HOT) | beside)


def test_one_request_stands_for_each_route(sqlite_settings: Settings) -> None:
    routes = iter_route_contexts(create_app(sqlite_settings).routes)
    declared = {(method, route.path) for route in routes for method in route.methods or ()}
    assert {asked.route for asked in EVERY} == declared - ASK_NOTHING


def test_the_hot_path_answers_with_the_endpoints_of_the_routes(sqlite_settings: Settings) -> None:
    routes = iter_route_contexts(create_app(sqlite_settings).routes)
    endpoints = {
        (method, route.path): route.endpoint for route in routes for method in route.methods or ()
    }
    assert HOT
    assert {door: endpoints[door] for door in HOT} == HOT


def test_what_the_edge_refuses_reaches_no_route(sqlite_settings: Settings) -> None:
    with running(sqlite_settings, edge=(*EDGE, RefuseEverybody)) as client:
        ledger = process_behind(client).ledger
        size = ledger.size()
        every = doors(sqlite_settings)
        assert {("GET", "/openapi.json"), ("GET", "/"), ("GET", "/healthz")} <= set(every)
        for method, path in every:
            answer = client.request(method, path, headers={"X-Request-Id": "q-1"})
            assert answer.status_code == 401, (method, path)
            if method != "HEAD":
                assert answer.json()["type"] == "urn:whyledger:problem:unauthenticated"
                assert answer.json()["instance"] == path
            assert answer.headers["X-Request-Id"] == "q-1"
        assert ledger.size() == size


def test_a_request_passes_the_edge_once_whatever_answers_it(sqlite_settings: Settings) -> None:
    entered: Counter[tuple[str, str]] = Counter()
    with running(sqlite_settings, edge=(*EDGE, partial(CountEverybody, entered))) as client:
        every = doors(sqlite_settings)
        for method, path in every:
            assert "X-Request-Id" in client.request(method, path).headers
    assert entered == Counter(every)


def test_every_event_a_request_leads_to_has_the_actor_the_edge_named(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings, edge=(*EDGE, NameEverybody)) as client:
        before = process_behind(client).ledger.size()
        adopt(client)
        client.post("/policies", content=STRICT_AND, headers=YAML)
        adopted = process_behind(client).ledger.size()
        serve_champion(client, 1)
        serve_champion(client, 2, intercept=0.5)
        promoted = process_behind(client).ledger.size()
        for sent in (
            client.post("/predictions", json={"model": "car-price", "row": AMC}),
            client.post("/events", json=observation("1")),
            client.post("/models/car-price/datasets", content=one_car(), headers=CSV),
            client.post("/models/car-price/rollbacks", json=back_to("car-price/1")),
        ):
            assert sent.status_code in (200, 201), sent.text
        refused = client.post("/predictions", json={"model": "car-price", "row": {}})
        assert refused.json()["type"] == "urn:whyledger:problem:rows-refused"
        entries = process_behind(client).ledger.read(-1, 1000)
    acted = [*entries[before:adopted], *entries[promoted:]]
    kinds = {entry.event.type for entry in acted}
    assert {
        "model.contract-adopted",
        "policy.adopted",
        "predictions.prediction-made",
        "observations.observation-recorded",
        "observations.dataset-received",
        "observations.rows-refused",
        "model.champion-rolled-back",
    } <= kinds
    assert {entry.actor for entry in acted} == {"key:ada"}


@pytest.mark.parametrize("door", ["/predictions", "/events"])
def test_the_count_of_what_a_request_brought_in_vain_belongs_to_that_request(
    sqlite_settings: Settings, door: str
) -> None:
    row = {**AMC, "hpwt": 99.0, "price": 4.9}
    bodies = {
        "/predictions": {"model": "car-price", "row": {**AMC, "hpwt": 99.0}},
        "/events": {**observation("1"), "data": {"model": "car-price", "row": row}},
    }
    with running(sqlite_settings, edge=(*EDGE, NameEverybody)) as client:
        adopt(client)
        serve_champion(client)
        refused = client.post(door, json=bodies[door])
        entry = process_behind(client).ledger.read(-1, 1000)[-1]

    assert refused.status_code == 422
    assert entry.event.type == "observations.rows-refused"
    assert entry.actor == "key:ada"
    assert entry.correlation_id == refused.headers["X-Request-Id"]


def test_a_full_disk_is_answered_with_503_and_the_reason_at_every_door(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings, edge=(*EDGE, NoRoom)) as client:
        for method, path in doors(sqlite_settings):
            answer = client.request(method, path)
            assert answer.status_code == 503, (method, path)
            assert answer.headers["Retry-After"] == "1"
            if method != "HEAD":
                assert answer.json()["type"] == "urn:whyledger:problem:storage-failed"
                assert answer.json()["detail"] == (
                    "/srv/why/quarantine cannot be used: No space left on device. Make room on its "
                    "disk, and try again."
                )


def test_what_cannot_be_written_is_answered_with_503_until_it_can(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        where = sqlite_settings.state_dir / "quarantine"
        shutil.rmtree(where, ignore_errors=True)
        where.write_text("a file where a directory should be")
        path = "/models/car-price/datasets"
        refused = client.post(path, content=one_car(), headers=CSV)
        where.unlink()
        taken = client.post(path, content=one_car(), headers=CSV)
    assert (refused.status_code, taken.status_code) == (503, 200)
    assert str(where) in refused.json()["detail"]


@pytest.fixture
def without_rights(sqlite_settings: Settings) -> Callable[[], AbstractContextManager[None]]:
    """Inside, nobody may look into the folder of ledger and state; not even root, who is nobody."""

    @contextmanager
    def taken() -> Iterator[None]:
        folder, root = sqlite_settings.state_dir.parent, os.geteuid() == 0
        folder.chmod(0)
        if root:
            os.seteuid(NOBODY)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o700)

    return taken


def test_missing_rights_are_answered_with_503_on_every_route_and_nothing_needs_a_restart(
    sqlite_settings: Settings, without_rights: Callable[[], AbstractContextManager[None]]
) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        well = {asked: asked.send(client).status_code for asked in EVERY}  # all is imported now
        assert max(well.values()) < 500
        with without_rights():
            process_behind(client).ledger.engine.dispose()  # what was opened before stays open
            for asked in EVERY:
                answer = asked.send(client)
                assert answer.status_code == 503, (asked, answer.text)
                assert answer.headers["Retry-After"] == "1", asked
                if asked.path != "/":
                    detail = answer.json()["detail"]
                    assert any(reason in detail for reason in NO_RIGHT), (asked, detail)
        for asked in EVERY:
            assert asked.send(client).status_code < 500, asked


@pytest.mark.parametrize("path", ["/predictions", "/models"])
def test_our_own_mistake_is_answered_by_the_edge_wherever_it_happens(
    sqlite_settings: Settings, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    with running(sqlite_settings) as client:
        adopt(client)
        monkeypatch.setattr(process_behind(client).champions, "of", broken)
        monkeypatch.setattr(process_behind(client).champions, "all", broken)
        answer = ask(client, path)
    assert answer == (500, "urn:whyledger:problem:error", False)


def ask(client: TestClient, path: str) -> tuple[int, str, bool]:
    """Status, problem and whether the secret is out."""
    if ("POST", path) in HOT:
        answer = client.post(path, json={"model": "car-price", "row": AMC})
    else:
        answer = client.get(path)
    return answer.status_code, answer.json()["type"], "secret" in answer.text


def one_car() -> str:
    row = {**AMC, "car_id": 7, "price": 4.9}
    return ",".join(row) + "\n" + ",".join(str(value) for value in row.values())


def back_to(version: str) -> dict[str, str]:
    return {"to": version, "reason": "complaints"}
