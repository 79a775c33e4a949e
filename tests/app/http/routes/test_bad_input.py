"""What must never happen: a 5xx for what a client can cause, a trace, a refusal in other words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.http.problems import PROBLEMS
from app.main import EDGE
from app.settings import Settings
from domain.errors import WhyledgerError
from tests.app.http.layers import AskWithBytes
from tests.app.http.routes.running import AMC, adopt, observation, process_behind, running

JSON = {"Content-Type": "application/json"}
PREDICTION = b'{"model": "car-price", "row": {"year": 1976}}'


@pytest.mark.parametrize(
    ("body", "status", "saying"),
    [
        (b"", 422, "the body is not JSON"),
        (b"{", 422, "not JSON: Expecting property name"),
        (b"[]", 422, "not an object"),
        (b"null", 422, "not an object"),
        (b'{"model": "car-price"}', 422, 'either "row" or "rows"'),
        (b'{"model": "car-price", "row": {}, "rows": []}', 422, 'either "row" or "rows"'),
        (b'{"model": "car-price", "rows": []}', 422, "has 0 rows; send 1 to 1000"),
        (b'{"model": "car-price", "rows": {}}', 422, "should be a list"),
        (b'{"model": 7, "row": {}}', 422, "/model"),
        (b'{"row": {}}', 422, "/model"),
        (b'{"model": "car-price", "row": {}, "color": 1}', 422, "/color: is not a known field"),
        (b'{"model": "car-price", "row": [1]}', 422, "not an object of columns"),
        (b'{"model": "car-price", "row": {"hpwt": NaN}}', 422, "NaN is not JSON"),
        (b'{"model": "car-price", "row": {"hpwt": -Infinity}}', 422, "-Infinity is not JSON"),
        (b'{"model": "car-price", "row": {"hpwt": 1e999}}', 422, "hpwt"),
        (b'{"model": "car-price", "row": {"a": 1, "a": 2}}', 422, "'a' stands twice"),
        (b'{"model": "car-price", "row": {"year": 99999999999999999999}}', 422, "2^53 - 1"),
        (b'{"model": "car-price", "row": {"region": "\\u0000"}}', 422, "U+0000 (NUL)"),
        (b'{"model": "car-price", "row": {"region": "\\ud800"}}', 422, "U+D800 (a lone surrogate)"),
        (b'{"model": "\\ud800", "row": {}}', 422, "lone surrogate"),
        (b'\xff{"model": "car-price"}', 422, "not UTF-8 at byte 0"),
        (b"[" * 100_000, 422, "nested too deeply"),
        (b'{"model": "nobody", "row": {}}', 404, "'nobody' is unknown"),
        (b'{"model": "' + b"x" * 2_000_000 + b'", "row": {}}', 413, "more than 1048576 bytes"),
    ],
)
def test_a_wrong_body_is_refused_by_name(
    lone_service: TestClient, body: bytes, status: int, saying: str
) -> None:
    answer = lone_service.post("/predictions", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["instance"] == "/predictions"
    assert saying in problem["detail"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("hpwt", "0.5"),
        ("hpwt", True),
        ("hpwt", None),
        ("hpwt", 99),
        ("hpwt", -1e300),
        ("hpwt", [0.5]),
        ("hpwt", {"value": 0.5}),
        ("year", 1976.5),
        ("year", 2**53 - 1),
        ("vintage_id", 7),
        ("vintage_id", ""),
        ("vintage_id", "x" * 201),
        ("air", 2),
        ("air", "0"),
        ("region", 4),
        ("colour", "red"),
    ],
)
def test_a_wrong_value_is_refused_naming_its_column(
    lone_service: TestClient, column: str, value: object
) -> None:
    answer = lone_service.post(
        "/predictions", json={"model": "car-price", "row": {**AMC, column: value}}
    )
    assert answer.status_code == 422
    assert [fault["path"] for fault in answer.json()["faults"]] == [f"/row/{column}"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predictions", 405),
        ("DELETE", "/models/car-price", 405),
        ("PUT", "/contracts", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/static/nowhere.css", 404),
        ("GET", "/static/../../../../etc/passwd", 404),
        ("GET", "/events?cursor=x", 422),
        ("GET", "/events?cursor=99999999999999999999999", 422),
        ("GET", "/events?limit=0", 422),
        ("GET", "/events?untill=3", 422),
        ("GET", "/audit/changes?cursor=-2", 422),
        ("GET", "/audit/changes?model=zz", 404),
        ("GET", "/audit/changes?model=car-price&limit=1", 200),
        ("GET", "/audit/decisions?from=yesterday", 422),
        ("GET", "/audit/decisions?modle=car-price", 422),
        ("GET", "/audit/decisions?cursor=-2", 422),
        ("GET", "/audit/decisions?model=%00", 404),
        ("GET", "/audit/decisions?model=zz", 404),
        ("GET", "/audit/decisions?outcome=foo", 422),
        ("GET", "/audit/decisions?outcome=%00", 422),
        ("GET", "/audit/decisions?outcome=retrain&model=car-price", 200),
        ("GET", "/audit/decisions?outcome=not+decided", 200),
        ("GET", "/audit/export?format=csv&model=zz", 404),
        ("GET", "/audit/export?format=csv&outcome=foo", 422),
        ("GET", "/audit/export", 422),
        ("GET", "/models/car-price/cycles?cursor=0", 422),
        ("GET", "/models?x=1", 422),
    ],
)
def test_the_framework_refuses_in_problems_as_well(
    lone_service: TestClient, method: str, path: str, status: int
) -> None:
    answer = lone_service.request(method, path)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) >= {"type", "title", "status", "detail", "instance"}
        assert problem["type"].startswith("urn:whyledger:problem:")


def test_a_body_without_a_length_is_cut_off_at_the_limit(lone_service: TestClient) -> None:
    chunks = (b" " * 65536 for _ in range(20))  # 1.25 MiB
    answer = lone_service.post("/predictions", content=chunks, headers=JSON)
    assert answer.status_code == 413


def test_a_method_that_is_not_taken_is_answered_with_those_that_are(
    lone_service: TestClient,
) -> None:
    answer = lone_service.get("/predictions")
    assert answer.headers["Allow"] == "POST"
    assert answer.json()["detail"] == "'/predictions' does not take 'GET'; it takes POST."


def test_more_rows_than_allowed_are_refused(lone_service: TestClient) -> None:
    rows: list[object] = [{}] * 1001
    answer = lone_service.post("/predictions", json={"model": "car-price", "rows": rows})
    assert answer.status_code == 422
    assert "has 1001 rows; send 1 to 1000" in answer.json()["detail"]
    events = lone_service.post("/events", json=[observation("1")] * 1001)
    assert events.status_code in (413, 422)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Idempotency-Key", "a b"), ("Idempotency-Key", "k" * 256), ("X-Request-Id", "a b")],
)
def test_a_header_that_is_no_plain_word_is_refused(
    lone_service: TestClient, name: str, value: str
) -> None:
    answer = lone_service.post("/predictions", content=PREDICTION, headers={**JSON, name: value})
    assert answer.status_code == 422
    assert name in answer.json()["detail"]


def test_our_own_mistake_is_a_500_without_a_trace(
    lone_service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(process_behind(lone_service).ledger, "read_rows", broken)
    answer = lone_service.get("/events", headers={"X-Request-Id": "q-1"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] == "q-1"
    assert "q-1" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_a_busy_ledger_is_503_with_retry_after_and_keeps_nothing(settings: Settings) -> None:
    with running(settings.model_copy(update={"busy_timeout_seconds": 0.2})) as client:
        adopt(client)
        size = process_behind(client).ledger.size()
        with process_behind(client).ledger.writing():
            answer = client.post("/events", json=observation("1"))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert "nothing was kept" in answer.json()["detail"]
        assert process_behind(client).ledger.size() == size


def test_every_error_has_a_problem() -> None:
    def derived(kind: type[WhyledgerError]) -> set[type[WhyledgerError]]:
        return {kind}.union(*(derived(each) for each in kind.__subclasses__()))

    of_the_service = {
        kind.code
        for kind in derived(WhyledgerError)
        if not kind.__module__.startswith(("app.cli", "app.training", "app.cycle.whatif", "tests"))
    }
    assert of_the_service <= set(PROBLEMS)


@pytest.mark.parametrize("path", ["/audit/decisions?", "/audit/export?format=jsonl&"])
def test_a_misspelt_outcome_is_told_the_outcomes_there_are(
    lone_service: TestClient, path: str
) -> None:
    problem = lone_service.get(f"{path}outcome=keep").json()
    assert problem["type"] == "urn:whyledger:problem:request-invalid"
    assert [fault["path"] for fault in problem["faults"]] == ["/query/outcome"]
    assert (
        "'keep: no drift', 'keep: below the bounds', 'keep: nothing to judge'" in problem["detail"]
    )
    problem = lone_service.get(f"{path}model=zz").json()
    assert problem["type"] == "urn:whyledger:problem:unknown-model"


def test_bytes_in_a_query_that_are_no_text_are_refused_like_others(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings, (*EDGE, partial(AskWithBytes, b"\xff=\xff"))) as client:
        answers = [client.get("/events"), client.get("/nowhere"), client.post("/predictions")]
    assert [answer.status_code for answer in answers] == [422, 404, 422]


def test_each_number_that_json_has_not_is_named_with_its_place(lone_service: TestClient) -> None:
    body = b'{"model": "car-price", "rows": [{"hpwt": 1}, {"a/b": NaN, "year": 9007199254740992}]}'
    problem = lone_service.post("/predictions", content=body, headers=JSON).json()
    assert problem["type"] == "urn:whyledger:problem:document-invalid"
    assert [fault["path"] for fault in problem["faults"]] == ["/rows/1/a~1b", "/rows/1/year"]
    assert "/rows/1/a~1b: NaN is not JSON; leave the field out, or send null" in problem["detail"]


def test_a_policy_without_an_id_is_spoken_of_without_one(lone_service: TestClient) -> None:
    for body in (b"{}", b'{"id": ["x"]}', b'{"id": ""}'):
        detail = lone_service.post("/policies", content=body, headers=JSON).json()["detail"]
        assert detail.startswith("the policy has ")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["car-price", "1.0", "org.whyledger.outcome.v1", "1976-07-01T00:00:00Z"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "model row rows data id source type specversion label prediction_id identity to "
                "reason as_of force".split()
            )
            | st.sampled_from(list(AMC))
            | st.text(max_size=10),
            inner,
            max_size=12,
        )
    ),
    max_leaves=20,
)
paths = st.sampled_from(
    [
        "/predictions",
        "/events",
        "/contracts",
        "/policies",
        "/models/car-price/datasets",
        "/models/car-price/rollbacks",
        "/models/nobody/cycles",
    ]
)
kinds = st.sampled_from(
    [
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/yaml",
        "text/csv",
        "text/plain",
    ]
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    state = tmp_path_factory.mktemp("fuzzed")
    with running(Settings(state_dir=state)) as client:
        adopt(client)
        yield client


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(
    path=paths,
    kind=kinds,
    value=json_values,
    headers=st.dictionaries(
        st.sampled_from(["Idempotency-Key", "X-Request-Id", "Prefer"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
    ),
)
def test_no_json_body_makes_a_5xx(
    fuzzed: TestClient, path: str, kind: str, value: object, headers: dict[str, str]
) -> None:
    content = json.dumps(value).encode()
    answer = fuzzed.post(path, content=content, headers={**headers, "Content-Type": kind})
    no_champion = answer.status_code == 503 and "no-champion" in answer.text
    assert answer.status_code < 500 or no_champion, answer.text


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(path=paths, kind=kinds, content=st.binary(max_size=200))
def test_no_bytes_make_a_5xx(fuzzed: TestClient, path: str, kind: str, content: bytes) -> None:
    answer = fuzzed.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code < 500, answer.text


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(
        ["/events", "/audit/decisions", "/audit/export", "/models/car-price/cycles", "/models", "/"]
    ),
    query=st.dictionaries(
        st.sampled_from(["limit", "cursor", "from", "to", "model", "outcome", "format", "x"]),
        st.text(max_size=12) | st.integers().map(str) | st.just("csv"),
        max_size=4,
    ),
)
def test_no_query_makes_a_5xx(fuzzed: TestClient, path: str, query: dict[str, str]) -> None:
    answer = fuzzed.get(path, params={k: v.encode("utf-8", "replace") for k, v in query.items()})
    assert answer.status_code < 500, answer.text
