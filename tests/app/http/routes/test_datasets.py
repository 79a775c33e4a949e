"""POST /models/{model}/datasets: good rows in, bad rows to quarantine, nothing twice."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli.main import app
from app.intake.csv_rows import LINE_LENGTH_MAX
from app.intake.intake import Intake
from app.settings import Settings
from tests.app.http.routes.running import (
    AMC,
    CAR_PRICE,
    CARS,
    adopt,
    events_of,
    observation,
    predict,
    process_behind,
    running,
    send,
)
from tests.repository import REPOSITORY

HEADER = "year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price"
GOOD = "1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802"
CSV = {"Content-Type": "text/csv"}


def upload(client: TestClient, *lines: str) -> Any:
    return client.post("/models/car-price/datasets", content="\n".join(lines).encode(), headers=CSV)


def quarantine(settings: Settings, name: str) -> list[dict[str, Any]]:
    text = (settings.state_dir / "quarantine" / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_real_cars_are_recorded_and_the_same_file_again_records_nothing(
    service: TestClient,
) -> None:
    with CARS.open(newline="") as file:
        rows = list(csv.reader(file))
    years = [rows[0], *(row for row in rows[1:] if row[0] in ("1971", "1972", "1973", "1974"))]
    text = io.StringIO()
    csv.writer(text).writerows(years)
    assert len(years) - 1 > 2 * 100
    first = upload(service, text.getvalue())
    assert first.status_code == 200
    body = first.json()
    assert (body["accepted"], body["already_known"], body["quarantined"]) == (len(years) - 1, 0, 0)
    assert body["quarantine_file"] is None
    received = events_of(service, "observations.dataset-received")
    assert received[0]["dataset_sha256"] == body["dataset_sha256"]
    size = process_behind(service).ledger.size()
    again = upload(service, text.getvalue()).json()
    assert (again["accepted"], again["already_known"]) == (0, len(years) - 1)
    assert again["position"] is None
    assert process_behind(service).ledger.size() == size


def test_the_command_answers_what_the_route_answers(service: TestClient, tmp_path: Path) -> None:
    lines = (HEADER, GOOD, "1971,130,AMGREM71,99,1.9,1.7,1.15,0,US,4.9", "1971,132")
    file, contract = tmp_path / "rows.csv", tmp_path / "contract.yaml"
    file.write_bytes("\n".join(lines).encode())
    contract.write_bytes(CAR_PRICE)
    environment = {"WHYLEDGER_STATE_DIR": str(tmp_path / "state")}
    CliRunner().invoke(app, ["adopt", str(contract)], env=environment)

    by_command = CliRunner().invoke(
        app, ["import", "car-price", str(file), "--json"], env=environment
    )
    by_route = upload(service, *lines).json()

    elsewhere = {"position": 0, "next_cycle": "of a ledger in which nobody serves"}
    assert json.loads(by_command.stdout) | elsewhere == by_route | elsewhere
    assert by_route["reasons"] == {"hpwt: out of range": 1, "(row): cells": 1}


def test_bad_rows_go_to_quarantine_with_line_and_reason(
    service: TestClient, settings: Settings
) -> None:
    answer = upload(
        service,
        HEADER,
        GOOD,
        "1971,130,AMGREM71,99,1.9,1.7,1.15,0,US,4.9",
        "",
        '1971,131,"AM\nGREM",x,1.9,1.7,1.15,0,US,nan',
        "1971,132",
        "1971,133,AMGREM71,0.5,1.9,1.7,1.15,0,US,=1+1",
    )
    body = answer.json()
    assert (body["accepted"], body["quarantined"]) == (1, 5)
    found = quarantine(settings, body["quarantine_file"])
    assert [row["line"] for row in found] == [3, 5, 6, 7, 8]
    assert found[0]["reasons"][0].startswith("hpwt is 99")
    assert found[0]["row"]["car_id"] == "130"
    assert "cell 3 opens a quote that this line does not close" in found[1]["reasons"][0]
    assert found[1]["row"] == ['1971,131,"AM'], "as a person reads it"
    assert "has 8 cells" in found[2]["reasons"][0]
    assert "has 2 cells" in found[3]["reasons"][0]
    assert found[4]["row"]["price"] == "=1+1"
    assert body["faults"][0]["path"] == "/line/3"
    (refused,) = events_of(service, "observations.rows-refused")
    assert (refused["door"], refused["rows"]) == ("datasets", 5)
    (received,) = events_of(service, "observations.dataset-received")
    assert (received["accepted"], received["quarantined"]) == (1, 5)
    assert received["quarantine_file"] == body["quarantine_file"]


def test_rows_that_stand_so_already_are_left_alone_and_others_are_corrections(
    service: TestClient,
) -> None:
    upload(service, HEADER, GOOD)
    other = GOOD.replace("129", "130")
    grown = upload(service, HEADER, GOOD, other).json()
    assert (grown["accepted"], grown["already_known"]) == (1, 1)
    corrected = upload(service, HEADER, GOOD.replace("4.935802", "5.1"), other).json()
    assert (corrected["accepted"], corrected["already_known"]) == (1, 1)


def test_a_row_that_stands_twice_in_a_file_is_taken_once(service: TestClient) -> None:
    for sent in ([GOOD], [GOOD, GOOD], [GOOD.replace("4.9", "5.1")] * 2):
        body = upload(service, HEADER, *sent).json()
        assert body["accepted"] + body["already_known"] == len(sent)
    assert len(events_of(service, "observations.observation-recorded")) == 2


def test_the_same_file_sent_twice_at_once_is_accepted_once_row_by_row(service: TestClient) -> None:
    lines = [GOOD.replace("1971,129", f"1971,{number}") for number in range(1, 1_201)]
    with ThreadPoolExecutor(2) as senders:
        answers = [
            answer.json() for answer in senders.map(lambda _: upload(service, HEADER, *lines), "ab")
        ]
    assert sum(answer["accepted"] for answer in answers) == len(lines)
    assert [a["accepted"] + a["already_known"] for a in answers] == [len(lines)] * 2


def test_a_row_known_from_an_event_is_known(service: TestClient) -> None:
    send(service, observation("1", year=1971))
    assert upload(service, HEADER, GOOD).json()["already_known"] == 1


@pytest.mark.parametrize(
    ("header", "saying"),
    [
        ("", "'1971' is no column"),
        (HEADER.replace(",", ";"), "are separated by semicolons; a CSV here has commas"),
        (HEADER.replace("hpwt", "hp\0wt"), "U+0000 (NUL), as a file in UTF-16"),
        (HEADER + ',"', "header, line 1, cell 11 opens a quote"),
        (HEADER.replace("hpwt,", ""), "'hpwt' is missing from the header"),
        (HEADER.replace(",price", ""), "'price' is missing from the header"),
        (HEADER + ",colour", "'colour' is no column of 'car-price'; remove it"),
        (HEADER + ",price", "'price' stands twice"),
    ],
)
def test_a_header_that_does_not_fit_refuses_the_file(
    lone_service: TestClient, header: str, saying: str
) -> None:
    answer = upload(lone_service, header, GOOD)
    assert answer.status_code == 422
    assert saying in answer.json()["detail"]


NOTHING = re.compile(r'(\s*(""|"\s*")?\s*(,|\Z))+')
cells = st.sampled_from(
    ['"', ",", '"a', 'b"', "1971", "129", "\0", "é", "\ufeff", ";", " ", "\r", "\n", "=1+1", '""']
)
hostile = st.one_of(
    st.lists(cells, max_size=12).map("".join),
    st.integers(1, 3).map(lambda number: GOOD.replace("129", str(number))),
    st.integers(1, 3).map(lambda number: GOOD.replace("129", f"{number}").replace("4.9", "5.1")),
)


def test_every_line_of_any_file_is_accepted_known_or_quarantined(
    lone_service: TestClient, sqlite_settings: Settings
) -> None:
    @settings_of_hypothesis(max_examples=25, deadline=None)
    @given(st.lists(hostile, max_size=8), st.sampled_from(["\n", "\r\n"]))
    def whatever_the_file(lines: list[str], end: str) -> None:
        text = end.join([HEADER, *lines])
        answer = lone_service.post("/models/car-price/datasets", content=text.encode(), headers=CSV)
        body = answer.json()
        assert answer.status_code == 200, answer.text
        told = body["accepted"] + body["already_known"] + body["quarantined"]
        held = [line for line in re.split("\r\n|\r|\n", text)[1:] if not NOTHING.fullmatch(line)]
        assert told == body["lines"] == len(held)
        if body["quarantined"]:
            found = quarantine(sqlite_settings, body["quarantine_file"])
            assert len({row["line"] for row in found}) == body["quarantined"]

    whatever_the_file()


def test_keys_that_repeat_corrections_and_labels_of_predictions_are_counted(
    service: TestClient,
) -> None:
    predict(service, {**AMC, "year": 1971})
    corrected, other = GOOD.replace("4.935802", "5.1"), GOOD.replace("129", "130")

    body = upload(service, HEADER, GOOD, other, corrected, corrected).json()

    assert (body["lines"], body["accepted"], body["already_known"]) == (4, 3, 1)
    assert (body["repeated_keys"], body["corrections"]) == (2, 1)
    assert body["labelled_predictions"] == 2, "the first label, and the one that corrects it"
    (received,) = events_of(service, "observations.dataset-received")
    assert received["also"] == {
        "corrections": 1,
        "repeated_keys": 2,
        "labelled_predictions": 2,
    }


def test_broken_csv_bytes_and_endless_lines_are_quarantined_not_fatal(
    lone_service: TestClient, sqlite_settings: Settings
) -> None:
    lines = [
        HEADER.encode(),
        b"1971,1,\xff\xfe,0.5,1.9,1.7,1.15,0,US,4.9",
        b'1971,2,"AM"GREM,0.5,1.9,1.7,1.15,0,US,4.9',
        b"1971,3," + b"x" * (3 * LINE_LENGTH_MAX),
        b"1971,4,A\0B,0.5,1.9,1.7,1.15,0,US,4.9",
        GOOD.encode(),
        b"1971,\0",
        b" 1971 , 131 , AMGREM71 ,0.5,1.9,1.7,1.15,0, US , 4.9 ",
    ]
    answer = lone_service.post(
        "/models/car-price/datasets", content=b"\r\n".join(lines), headers=CSV
    )
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["quarantined"]) == (200, 2, 5)
    found = quarantine(sqlite_settings, body["quarantine_file"])
    assert [row["line"] for row in found] == [2, 3, 4, 5, 7]
    assert found[0]["reasons"] == ["holds what is not UTF-8 in vintage_id"]
    assert found[0]["row"]["vintage_id"] == r"\xff\xfe", "as a person reads it"
    assert "vintage_id is 'A\\x00B': it holds U+0000" in found[3]["reasons"][0]
    assert found[4]["reasons"] == [
        "has 2 cells; the header has 10, and holds U+0000, which is not printable"
    ]
    assert len(json.dumps(found)) < LINE_LENGTH_MAX, "the overlong line is not kept"


def test_what_became_of_a_file_can_be_asked_afterwards(
    lone_service: TestClient,
) -> None:
    bad = "1971,130,AMGREM71,99,1.9,1.7,1.15,0,US,4.9"
    said = upload(lone_service, HEADER, GOOD, bad).json()
    assert said["finished"]
    assert said["next_cycle"].endswith(
        "names policy 'strict-and', which was never adopted. Adopt it first: "
        "`whyledger adopt FILE`, or POST /policies."
    )
    where = f"/models/car-price/datasets/{said['dataset_sha256']}"

    assert lone_service.get(where).json() == said
    upload(lone_service, HEADER, GOOD, bad)
    assert lone_service.get(where).json() == said, "nothing was new the second time"
    unknown = lone_service.get(f"/models/car-price/datasets/{'0' * 64}")
    assert unknown.status_code == 404
    assert "was read to its end for 'car-price'. Send it again" in unknown.json()["detail"]


@pytest.mark.parametrize(
    "edited",
    [
        b"{",
        b"\xff\n",
        b"[]\n",
        b'{"line": 3}\n',
        b'{"line": "x", "reasons": ["a"]}\n',
        b'{"line": 3, "reasons": 7}\n',
        b"[" * 100_000,
    ],
    ids=["cut", "not UTF-8", "a list", "no reasons", "no line", "a number", "lists in lists"],
)
def test_a_quarantine_file_that_somebody_edited_says_what_can_be_read_of_it(
    lone_service: TestClient, sqlite_settings: Settings, edited: bytes
) -> None:
    said = upload(lone_service, HEADER, "1971,130,AMGREM71,99,1.9,1.7,1.15,0,US,4.9").json()
    path = sqlite_settings.state_dir / "quarantine" / said["quarantine_file"]
    path.write_bytes(edited.ljust(1) + b"\n" + path.read_bytes())
    found = lone_service.get(f"/models/car-price/datasets/{said['dataset_sha256']}")
    assert (found.status_code, found.json()["faults"]) == (200, said["faults"])


def test_a_file_that_is_being_read_says_how_far_it_has_come(lone_service: TestClient) -> None:
    process, seen = process_behind(lone_service), list[Intake]()
    append = process.ledger.append

    def look_first(*arguments: Any, **named: Any) -> Any:
        seen.append(process.datasets.look("car-price", sha256))
        return append(*arguments, **named)

    content = "\n".join([HEADER, GOOD, GOOD.replace("129", "130")])
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    process.ledger.append = look_first  # type: ignore[method-assign]
    upload(lone_service, content)
    assert [(each.lines, each.accepted, each.finished) for each in seen] == [
        (2, 0, False),
        (2, 2, False),
    ]


def test_what_the_next_cycle_would_do_is_said_where_rows_come_in(
    empty_service: TestClient,
) -> None:
    adopt(empty_service)
    policy = (REPOSITORY / "rules" / "policies" / "strict-and.yaml").read_bytes()
    written = {"Content-Type": "application/yaml"}
    assert empty_service.post("/policies", content=policy, headers=written).is_success
    none = upload(empty_service, HEADER, "1971,130,AMGREM71,99,1.9,1.7,1.15,0,US,4.9").json()
    assert none["next_cycle"].startswith(
        "the next cycle would have nothing to decide on: 'car-price' has no champion and no "
        "labelled row before "
    )
    assert upload(empty_service, HEADER, GOOD).json()["next_cycle"] == (
        "the next cycle would train car-price for the first time, on the rows before "
        "1971-07-01T00:00:00.000001Z"
    )


def test_a_file_larger_than_allowed_is_413_and_leaves_nothing(
    sqlite_settings: Settings,
) -> None:
    settings = sqlite_settings.model_copy(update={"dataset_bytes_max": 2000})
    with running(settings) as client:
        adopt(client)
        answer = upload(client, HEADER, *([GOOD] * 100))
        assert answer.status_code == 413
        assert "more than 2000 bytes" in answer.json()["detail"]
        assert events_of(client, "observations.observation-recorded") == []
        assert list(Path(settings.state_dir, "quarantine").iterdir()) == []


def test_an_unknown_model_and_another_content_type_are_refused(lone_service: TestClient) -> None:
    assert lone_service.post("/models/nope/datasets", content=b"x", headers=CSV).status_code == 404
    answer = lone_service.post("/models/car-price/datasets", json=[1])
    assert answer.status_code == 415


def test_quarantine_files_have_a_bound_together_and_the_oldest_go(settings: Settings) -> None:
    bounded = settings.model_copy(update={"quarantine_total_bytes_max": 1024})
    with running(bounded) as client:
        adopt(client)
        names = []
        for upload_number in range(6):
            lines = [f"1971,{row},AMGREM71,99,1.9,1.7,1.15,0,US,4.9" for row in range(3)]
            answer = upload(client, HEADER, *lines, f"1971,{upload_number}").json()
            names.append(answer["quarantine_file"])
        there = {path.name: path.stat().st_size for path in quarantine_files(settings)}
    assert names[-1] in there
    assert names[0] not in there
    assert sum(there.values()) <= 1024 or len(there) == 1


def quarantine_files(settings: Settings) -> list[Path]:
    return sorted((settings.state_dir / "quarantine").glob("*.jsonl"))
