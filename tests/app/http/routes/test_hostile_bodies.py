"""Bodies made to cost more than they weigh: what is answered is short, whatever was sent."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from app.http.bodies import (
    UNPACKED_SHARE_MAX,
    UNPACKED_SPARE,
    Gzip,
)
from app.intake.adoption import ENTRIES_MAX
from app.intake.csv_rows import csv_rows
from app.intake.documents import parse_document
from app.intake.names_sent import NAMES_MAX
from app.settings import Settings
from domain.errors import RequestInvalid
from domain.faults import FAULTS_MAX
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    CARS,
    CLOUDEVENTS,
    adopt,
    events_of,
    observation,
    process_behind,
    running,
    serve_champion,
)
from tests.steps import steps

ANSWER_BYTES_MAX = 200_000  # of a hundred faults, each with a long pointer and a long message
JSON = "application/json"
YAML = "application/yaml"
ONE = {"model": "car-price", "row": AMC}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The contract car-price is adopted, and car-price/1 answers."""
    state: Path = tmp_path_factory.mktemp("state")
    with running(Settings(state_dir=state)) as client:
        adopt(client)
        serve_champion(client)
        yield client


def keys(count: int) -> str:
    return ",".join(f'"k{number}":1' for number in range(count))


HOSTILE: dict[str, tuple[str, str, str | bytes, int]] = {
    "a key a hundred thousand times": (
        "/predictions",
        JSON,
        "{" + '"a":1,' * 99_999 + '"a":1}',
        422,
    ),
    "keys that each stand twice": (
        "/predictions",
        JSON,
        "{" + ",".join(f'"k{n}":1,"k{n}":2' for n in range(30_000)) + "}",
        422,
    ),
    "numbers that are none": ("/predictions", JSON, "[" + "NaN," * 200_000 + "NaN]", 422),
    "numbers that are too large": ("/predictions", JSON, "[" + "1e999," * 100_000 + "1]", 422),
    "none below a long name": (
        "/predictions",
        JSON,
        '{"' + "n" * 500_000 + '":[' + "NaN," * 100_000 + "1]}",
        422,
    ),
    "none below many names": (
        "/predictions",
        JSON,
        ('{"' + "n" * 300 + '":') * 40 + "[" + "NaN," * 1000 + "1]" + "}" * 40,
        422,
    ),
    "signs that no database takes": ("/predictions", JSON, "[" + '"\\u0000",' * 90_000 + "1]", 422),
    "lists in lists": ("/predictions", JSON, "[" * 900_000, 422),
    "rows in lists": (
        "/predictions",
        JSON,
        '{"model":"car-price","rows":' + "[" * 400_000 + "]" * 400_000 + "}",
        422,
    ),
    "fields that nobody knows": ("/predictions", JSON, "{" + keys(80_000) + "}", 422),
    "columns that nobody knows": (
        "/predictions",
        JSON,
        '{"model":"car-price","row":{' + keys(80_000) + "}}",
        422,
    ),
    "rows without a column": (
        "/predictions",
        JSON,
        '{"model":"car-price","rows":[' + "{}," * 999 + "{}]}",
        422,
    ),
    "rows that are one long text": (
        "/predictions",
        JSON,
        '{"model":"car-price","rows":"' + "x" * 900_000 + '"}',
        422,
    ),
    "marks in disorder": (
        "/predictions",
        JSON,
        orjson.dumps({**ONE, "row": {**AMC, "region": "a" + "\u0301\u0316" * 200_000}}),
        422,
    ),
    "events without a field": ("/events", CLOUDEVENTS, "[" + "{}," * 999 + "{}]", 422),
    "an event of many fields": ("/events", JSON, "{" + keys(80_000) + "}", 422),
    "an event of much data": (
        "/events",
        JSON,
        orjson.dumps({**observation("1"), "data": dict.fromkeys(map(str, range(80_000)), 1)}),
        422,
    ),
    "events of rows without a column": (
        "/events",
        CLOUDEVENTS,
        orjson.dumps(
            [
                {**observation(str(n)), "data": {"model": "car-price", "row": {}}}
                for n in range(1000)
            ]
        ),
        422,
    ),
    "a request of many fields": (
        "/models/car-price/cycles",
        JSON,
        "{" + keys(1500) + "}",
        422,
    ),
    "a request of many bytes": ("/models/car-price/cycles", JSON, " " * 900_000 + "{}", 413),
    "a document of many values": ("/contracts", YAML, "- a\n" * 240_000, 422),
    "a document in JSON of many values": (
        "/contracts",
        JSON,
        '{"a":[' + "1," * 400_000 + "1]}",
        422,
    ),
    "a document without an end to its lists": ("/contracts", YAML, "[a," * 300_000, 422),
    "names that the target had formerly": (
        "/contracts",
        JSON,
        orjson.dumps(
            {
                **parse_document(CAR_PRICE, name="the contract"),
                "target": {"name": "price", "formerly": [f"n{n}" for n in range(ENTRIES_MAX)]},
            }
        ),
        422,
    ),
    "an identity of many names": (
        "/contracts",
        JSON,
        orjson.dumps(
            {
                **parse_document(CAR_PRICE, name="the contract"),
                "identity": [f"n{n}" for n in range(ENTRIES_MAX)],
            }
        ),
        422,
    ),
    "a contract with a long name": ("/contracts", JSON, '{"model":"' + "m" * 900_000 + '"}', 422),
    "clauses that are none": (
        "/policies",
        JSON,
        '{"id":"p","version":1,"clauses":[' + "1," * (ENTRIES_MAX - 1) + "1]}",
        422,
    ),
    "clauses beyond any": (
        "/policies",
        JSON,
        '{"id":"p","version":1,"clauses":[' + "1," * 20_000 + "1]}",
        422,
    ),
    "a header of many columns": (
        "/models/car-price/datasets",
        "text/csv",
        ",".join(f"c{n}" for n in range(12_000)) + "\n",
        422,
    ),
    "a file of lines that are none": (  # taken in, each line put into the quarantine
        "/models/car-price/datasets",
        "text/csv",
        "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n" + "1\n" * 20_000,
        200,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_is_short_whatever_was_sent(service: TestClient, name: str) -> None:
    path, kind, body, status = HOSTILE[name]
    answer = service.post(path, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text[:500]
    assert len(answer.content) < ANSWER_BYTES_MAX
    assert len(answer.json().get("faults", ())) <= FAULTS_MAX


def test_what_is_beyond_the_list_is_counted(service: TestClient) -> None:
    def refused(name: str) -> dict[str, Any]:
        path, kind, body, _ = HOSTILE[name]
        problem: dict[str, Any] = service.post(
            path, content=body, headers={"Content-Type": kind}
        ).json()
        assert len(problem["faults"]) == FAULTS_MAX
        return problem

    assert refused("numbers that are none")["more_faults"] == 200_001 - FAULTS_MAX
    some = service.post(
        "/predictions", content="{" + keys(NAMES_MAX) + "}", headers={"Content-Type": JSON}
    )
    assert some.json()["more_faults"] == NAMES_MAX - FAULTS_MAX + 2
    problem = refused("rows without a column")
    judged_whole = 1 + int(problem["faults"][-1]["path"].split("/")[2])
    assert problem["more_faults"] >= 1000 - judged_whole
    assert "1000 of 1000 rows break the contract" in problem["detail"]


def test_rows_beyond_the_list_are_counted_in_the_ledger_all_the_same(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        path, kind, body, _ = HOSTILE["rows without a column"]
        client.post(path, content=body, headers={"Content-Type": kind})
        process_behind(client).refusals.flush()
        (event,) = events_of(client, "observations.rows-refused")
    assert event["rows"] == 1000


def test_events_beyond_the_list_are_counted_by_their_first_fault(
    sqlite_settings: Settings,
) -> None:
    with running(sqlite_settings) as client:
        adopt(client)
        serve_champion(client)
        path, kind, body, _ = HOSTILE["events of rows without a column"]
        problem = client.post(path, content=body, headers={"Content-Type": kind}).json()
        process_behind(client).refusals.flush()
        (event,) = events_of(client, "observations.rows-refused")
    assert event["rows"] == 1000
    judged_whole = 1 + int(problem["faults"][-1]["path"].split("/")[1])
    columns = sum(fault["path"].startswith("/0/") for fault in problem["faults"])
    assert problem["more_faults"] == judged_whole * columns - FAULTS_MAX + 1000 - judged_whole


def test_of_a_refused_batch_what_weighs_most_is_said_and_listed_wherever_it_stands(
    service: TestClient,
) -> None:
    rows = [{**observation(str(n)), "data": {"model": "car-price", "row": {}}} for n in range(300)]
    batch = [*rows, {**observation("last"), "type": 7}]
    problem = service.post(
        "/events", content=orjson.dumps(batch), headers={"Content-Type": CLOUDEVENTS}
    ).json()
    assert problem["type"] == "urn:whyledger:problem:request-invalid"
    assert problem["faults"][-1]["path"].startswith("/300/")


@pytest.mark.parametrize("first", ["as the others", "without a field", "without a column"])
def test_only_who_is_refused_waits_for_all_others_from_early_on(
    lone_service: TestClient, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("app.intake.giving_way._SLICE_SECONDS", 0.0)
    monkeypatch.setattr("app.intake.giving_way.time", SimpleNamespace(sleep=slept.append))
    batch = [observation(str(n)) for n in range(100)]
    if first == "without a field":
        batch[0] = {}
    if first == "without a column":
        del batch[0]["data"]["row"]["year"]
    answer = lone_service.post(
        "/events", content=orjson.dumps(batch), headers={"Content-Type": CLOUDEVENTS}
    )
    refused = first != "as the others"
    assert answer.status_code == (422 if refused else 201)
    assert (len(slept) > len(batch)) == refused  # they are read one by one, then judged


def test_members_of_gzip_that_hold_nothing_end_with_a_refusal(service: TestClient) -> None:
    def sent(body: bytes) -> tuple[int, str]:
        headers = {"Content-Type": JSON, "Content-Encoding": "gzip"}
        answer = service.post("/predictions", content=body, headers=headers)
        return answer.status_code, answer.json().get("detail", "")

    nothing = gzip.compress(b"")
    status, said = sent(nothing * 40_000)
    assert status == 422
    assert "members that unpack to 0 bytes; send it as one" in said
    status, said = sent(nothing * 100_000)  # more bytes than a body may have, packed or not
    assert status in (413, 422)
    body = orjson.dumps(ONE)
    assert sent(b"".join(gzip.compress(body[n : n + 8]) for n in range(0, len(body), 8)))[0] == 200


def test_gzip_that_unpacks_to_far_more_than_came_is_not_unpacked(service: TestClient) -> None:
    def unpacked(body: bytes) -> int:
        """How many bytes are handed on before it is refused, or all."""
        gzip_stream, count = Gzip(), 0
        with suppress(RequestInvalid):
            for piece in gzip_stream.pieces(body):
                count += len(piece)
        return count

    header = b"year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    for filling in (b"\n", b"x\n", b",,,,,,,,,\n"):
        bomb = gzip.compress(header + filling * (20_000_000 // len(filling)))
        assert unpacked(bomb) <= UNPACKED_SPARE + UNPACKED_SHARE_MAX * len(bomb)
        answer = service.post(
            "/models/car-price/datasets",
            content=bomb,
            headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
        )
        assert answer.status_code == 422
        assert "unpacks to more than 50 times its bytes" in answer.json()["detail"]
    cars = CARS.read_bytes() * 20
    assert unpacked(gzip.compress(cars, 9)) == len(cars), "what somebody wrote is taken"


def test_a_line_that_holds_nothing_costs_a_handful_of_steps() -> None:
    def read(lines: int) -> int:
        text = io.TextIOWrapper(io.BytesIO(b"\n" * lines), newline="")
        return steps(lambda: list(csv_rows(text)))

    assert read(2000) - read(1000) <= 5 * 1000


def test_a_refused_document_costs_no_more_steps_than_its_bound() -> None:
    values = {
        count: steps(lambda count=count: parse_document("- a\n" * count, name="x"))  # type: ignore[misc]
        for count in (50_000, 200_000)
    }
    assert values[200_000] <= values[50_000] * 1.1, "the rest is not read"
