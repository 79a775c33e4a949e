"""What the document declares is what the code takes, on every route there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.app.http.routes.running import running

BYTES_MAX = 5000


@dataclass(frozen=True)
class Door:
    """One method of one path, as the document declares it."""

    method: str
    path: str
    declared: dict[str, Any]

    @property
    def content(self) -> dict[str, Any]:
        """What it takes, by content type."""
        found: dict[str, Any] = self.declared.get("requestBody", {}).get("content", {})
        return found

    def ask(
        self, client: TestClient, query: str = "", body: bytes = b"", kind: str | None = None
    ) -> Any:
        path = re.sub(r"\{[^}]*\}", "1", self.path)
        headers = {} if kind is None else {"Content-Type": kind}
        return client.request(self.method, path + query, content=body, headers=headers)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service without a model, that takes short bodies."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("strict"),
        body_bytes_max=BYTES_MAX,
        dataset_bytes_max=BYTES_MAX,
    )
    with running(settings) as client:
        yield client


@pytest.fixture(scope="module")
def doors(client: TestClient) -> list[Door]:
    paths = client.get("/openapi.json").json()["paths"]
    return [
        Door(method.upper(), path, declared)
        for path, methods in paths.items()
        for method, declared in methods.items()
    ]


@pytest.fixture(scope="module")
def taking(doors: list[Door]) -> list[Door]:
    """Those that take a body."""
    found = [door for door in doors if door.content]
    assert {door.method for door in doors if door not in found} == {"GET"}
    return found


def example_of(content: dict[str, Any]) -> bytes:
    """The first example as it is sent."""
    value = next(iter(content["examples"].values()))["value"]
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def test_a_query_parameter_that_is_not_declared_is_refused_by_name(
    client: TestClient, doors: list[Door]
) -> None:
    for door in doors:
        kind, content = next(iter(door.content.items()), (None, None))
        body = example_of(content) if content else b""
        answer = door.ask(client, "?modle=car-price", body, kind)
        assert answer.status_code == 422, door.path
        problem = answer.json()
        assert problem["type"] == "urn:whyledger:problem:request-invalid", door.path
        assert "/query/modle" in [fault["path"] for fault in problem["faults"]], door.path


def test_every_content_type_declared_is_taken_and_another_is_told_them(
    client: TestClient, taking: list[Door]
) -> None:
    for door in taking:
        for kind, content in door.content.items():
            assert door.ask(client, "", example_of(content), kind).status_code != 415
            refused = [
                door.ask(client, "", b"x=1", "application/x-www-form-urlencoded"),
                door.ask(client, "", b"x=1", "text/plain"),
                door.ask(client, "", b"x=1", ""),
                door.ask(client, "", b"x=1", f"{kind}; charset=latin-1"),
            ]
            assert [answer.status_code for answer in refused] == [415] * 4, door.path
            assert all(each in refused[0].json()["detail"] for each in door.content), door.path


def test_no_body_is_read_beyond_the_limit(client: TestClient, taking: list[Door]) -> None:
    for door in taking:
        kind = next(iter(door.content))
        long = door.ask(client, "", b" " * (BYTES_MAX + 1), kind)
        assert long.status_code in (404, 413), door.path  # a CSV is for a model that is there
        if long.status_code == 413:
            assert f"more than {BYTES_MAX} bytes" in long.json()["detail"]


@pytest.mark.parametrize("text", [b"{", b'{"a": 1, "a": 2}', b'{"a": NaN}'])
def test_json_is_read_strictly_wherever_it_is_taken(
    client: TestClient, taking: list[Door], text: bytes
) -> None:
    read = [door for door in taking if "application/json" in door.content]
    assert len(read) > 1
    for door in read:
        answer = door.ask(client, "", text, "application/json")
        assert answer.status_code == 422, door.path
        assert answer.json()["type"] == "urn:whyledger:problem:document-invalid", door.path


def test_a_body_that_may_be_left_out_is_read_strictly_when_it_is_there(
    client: TestClient, taking: list[Door]
) -> None:
    (door,) = [door for door in taking if not door.declared["requestBody"].get("required")]
    assert door.path == "/models/{model}/cycles"
    left_out = door.ask(client, "", b"", "application/json")
    assert left_out.json()["type"] == "urn:whyledger:problem:unknown-model"
    answer = door.ask(client, "", b'{"force": {"reason": " ", "a/b": 1}}', "application/json")
    assert [fault["path"] for fault in answer.json()["faults"]] == [
        "/force/reason",
        "/force/a~1b",
    ]


def test_every_list_goes_on_by_cursor_and_limit(doors: list[Door]) -> None:
    lists = {
        door.path: {each["name"] for each in door.declared.get("parameters", [])} for door in doors
    }
    paged = {path for path, names in lists.items() if "cursor" in names}
    assert paged == {path for path, names in lists.items() if "limit" in names}
    audit = {"/audit/decisions", "/audit/changes"}
    assert paged == {"/events", "/models", "/models/{model}/cycles"} | audit


def test_every_shape_the_document_refers_to_stands_in_it(client: TestClient) -> None:
    document = client.get("/openapi.json")
    shapes = document.json()["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', document.text))
    assert named <= set(shapes)
    assert "$defs" not in document.text


@pytest.mark.parametrize("path", ["/events", "/audit/decisions", "/models", "/ledger/checkpoint"])
def test_a_query_parameter_that_stands_twice_is_refused(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?limit=1&limit=2")
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["path"] == "/query/limit"


@pytest.mark.parametrize("number", ["1_0", "+1", " 1", "1.0", "0x1", "\u0661"])
@pytest.mark.parametrize("path", ["/events?limit=", "/events?cursor=", "/ledger/events/"])
def test_a_number_in_an_address_has_one_spelling(
    client: TestClient, path: str, number: str
) -> None:
    answer = client.get(path + quote(number))
    assert answer.status_code == 422
    assert "should be a whole number in digits" in answer.json()["detail"]
