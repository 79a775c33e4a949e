"""Rows of entries of many are handed out as they are hashed, each with a proof of its own."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.http.prefer import receipts_of
from app.ledger.store import Ledger
from app.main import create_app
from app.settings import Settings
from domain.blocks.row_proofs import check_row_proof
from domain.events.expansion import expanded
from domain.tree.merkle import root_of
from tests.app.http.routes.running import process_behind
from tests.app.many_rows import predictions, put_many
from tests.app.proof.forged_rows import FIRST, erase
from tests.ledger_events import observation, put

PLAIN, MANY, LARGE = 1, 2, 3  # positions


@pytest.fixture
def client(sqlite_settings: Settings) -> Iterator[TestClient]:
    app = create_app(sqlite_settings)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        ledger = process_behind(client).ledger
        put(ledger, "observations-cars", observation("car=9"), personal=True)
        put_many(ledger, predictions(1, 2, 3), FIRST)
        yield client


def ledger_of(client: TestClient) -> Ledger:
    return process_behind(client).ledger


def leaf_of(line: bytes) -> bytes:
    """By the page: 0x00, the salt and what stands behind `"data":`; or what is left of it."""
    matched = re.fullmatch(rb'\{"row":\d+,"salt":"([0-9a-f]{32})","data":(\[.*\])\}', line)
    if matched is None:
        return bytes.fromhex(json.loads(line)["erased"][:64])
    return hashlib.sha256(b"\x00" + bytes.fromhex(matched[1].decode()) + matched[2]).digest()


def root_in(client: TestClient, position: int) -> str:
    root: str = client.get(f"/ledger/events/{position}").json()["data"]["rows_root"]
    return root


def test_the_rows_of_an_entry_lead_to_its_root_whether_or_not_one_is_erased(
    client: TestClient,
) -> None:
    answer = client.get(f"/ledger/events/{MANY}/rows")
    assert answer.headers["content-type"] == "application/jsonl"
    assert "no-store" in answer.headers["cache-control"]  # nobody may keep what will be erased
    lines = answer.content.splitlines()
    said = [json.loads(line) for line in lines]
    assert [each["row"] for each in said] == [0, 1, 2]
    assert said[1]["data"] == [7.5, [], "2", 0.5, 1976]
    assert root_of([leaf_of(line) for line in lines]).hex() == root_in(client, MANY)

    erase(ledger_of(client), (MANY, 1))
    after = client.get(f"/ledger/events/{MANY}/rows").content.splitlines()
    assert set(json.loads(after[1])) == {"row", "erased"}
    assert (after[0], after[2]) == (lines[0], lines[2])
    assert root_of([leaf_of(line) for line in after]).hex() == root_in(client, MANY)


def test_many_rows_are_answered_piece_by_piece(client: TestClient) -> None:
    put_many(ledger_of(client), predictions(*range(1201)))
    lines = client.get(f"/ledger/events/{LARGE}/rows").content.splitlines()
    assert [json.loads(line)["row"] for line in lines] == list(range(1201))
    assert root_of([leaf_of(line) for line in lines]).hex() == root_in(client, LARGE)


def test_one_row_comes_as_its_line_and_with_a_receipt_that_shows_no_other(
    client: TestClient,
) -> None:
    line = client.get(f"/ledger/events/{MANY}/rows").content.splitlines()[1]
    alone = client.get(f"/ledger/events/{MANY}/rows/1")
    assert (alone.content, alone.headers["content-type"]) == (line, "application/json")
    proved = client.get(f"/ledger/events/{MANY}/rows/1", params={"receipt": True})
    assert proved.content.startswith(line[:-1] + b',"receipt":{')
    receipt = proved.json()["receipt"]
    entry = client.get(f"/ledger/events/{MANY}", params={"receipt": True}).json()["receipt"]
    assert entry.items() <= receipt.items()
    assert (receipt["row"], receipt["rows"]) == (1, 3)
    assert receipt["envelope"] == client.get(f"/ledger/events/{MANY}").text
    leaf = check_row_proof(
        receipt["envelope"].encode(),
        row=1,
        salt=bytes.fromhex(receipt["salt"]),
        content=receipt["content"].encode(),
        proof=[bytes.fromhex(each) for each in receipt["row_proof"]],
    )
    assert leaf.hex() == receipt["leaf_hash"]

    erase(ledger_of(client), (MANY, 1))
    gone = client.get(f"/ledger/events/{MANY}/rows/1", params={"receipt": True}).json()
    assert set(gone) == {"row", "erased", "receipt"}
    assert (gone["receipt"]["salt"], gone["receipt"]["content"]) == (None, None)
    assert gone["receipt"]["row_proof"] == receipt["row_proof"]


NOT_THERE = {
    f"{MANY}/rows/3": (404, "entry 2 has no row 3: it has 3, from 0 on. Ask for one below 3"),
    f"{MANY}/rows/9007199254740991": (404, "has no row 9007199254740991"),
    f"{MANY}/rows/-1": (422, "greater than or equal to 0"),
    f"{MANY}/rows/x": (422, "/path/row"),
    f"{MANY}/rows?receipt=true": (422, "/query/receipt: is not a known field"),
    f"{PLAIN}/rows": (404, "entry 1 is one row alone, and none stand apart from it."),
    f"{PLAIN}/rows/0": (404, "GET /ledger/events/1, and ?receipt=true"),
    f"{PLAIN}/rows/0?receipt=true": (404, "GET /ledger/events/1, and ?receipt=true"),
    "9/rows": (404, "the ledger has no entry 9"),
    "9/rows/0?receipt=true": (404, "the ledger has no entry 9"),
}


def test_what_is_not_there_is_a_problem(client: TestClient) -> None:
    for path, (status, saying) in NOT_THERE.items():
        answer = client.get(f"/ledger/events/{path}")
        assert (answer.status_code, saying in answer.text) == (status, True), answer.text


def test_each_row_of_an_answer_has_its_own_receipt_where_its_entry_has_many(
    client: TestClient,
) -> None:
    ledger, process = ledger_of(client), process_behind(client)
    recorded = expanded(ledger.read(0))
    proved = receipts_of(process, recorded)
    places = [(each["position"], each.get("row")) for each in proved if each is not None]
    assert places == [(PLAIN, None), (MANY, 0), (MANY, 1), (MANY, 2)]
    assert len({each["content"] for each in proved[1:] if each is not None}) == 3
