"""What the service hands to those who check the ledger: each can be verified with the key alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from app.ledger.store import Ledger
from app.main import create_app
from app.proof.signer import check_ed25519
from app.settings import Settings
from domain.blocks.row_proofs import check_row_proof
from domain.canonical import leaf_hash
from domain.errors import SigningRefused
from domain.tree.merkle import root_of
from domain.tree.notes import Checkpoint, open_checkpoint, parse_verifier_key
from domain.tree.proofs import verify_consistency, verify_inclusion
from tests.app.http.routes.running import AMC, process_behind
from tests.ledger_events import put, refused


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        put(ledger_of(client), "observations-cars", *[refused(n + 1) for n in range(299)])
        yield client


def ledger_of(client: TestClient) -> Ledger:
    return process_behind(client).ledger


def opened(client: TestClient, note: str) -> Checkpoint:
    key = parse_verifier_key(client.get("/ledger/signing").json()["verifier_key"])
    return open_checkpoint(note, key, check_ed25519)


def unhex(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(each) for each in hashes]


def test_a_checkpoint_is_a_signed_note_over_all_that_is_committed(client: TestClient) -> None:
    answer = client.get("/ledger/checkpoint", params={"new": True})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    signed = opened(client, answer.text)
    assert (signed.size, signed.root) == (300, root_of(ledger_of(client).leaf_hashes(0, 299)))
    assert client.get("/ledger/checkpoint").text == answer.text


def test_an_inclusion_proof_verifies_against_a_checkpoint(client: TestClient) -> None:
    signed = opened(client, client.get("/ledger/checkpoint", params={"new": True}).text)
    asked = {"position": 123, "size": signed.size}
    shown = client.get("/ledger/proofs/inclusion", params=asked).json()
    leaf = bytes.fromhex(shown["leaf_hash"])
    verify_inclusion(leaf, 123, signed.size, unhex(shown["proof"]), signed.root)
    body = client.get("/ledger/events/123")
    assert hashlib.sha256(b"\x00" + body.content).digest() == leaf
    assert body.headers["leaf-hash"] == leaf.hex()


def test_a_consistency_proof_verifies_against_two_checkpoints(client: TestClient) -> None:
    earlier = opened(client, client.get("/ledger/checkpoint", params={"new": True}).text)
    put(ledger_of(client), "observations-cars", refused(), refused())
    later = opened(client, client.get("/ledger/checkpoint", params={"new": True}).text)
    asked = {"from": earlier.size, "to": later.size}
    shown = client.get("/ledger/proofs/consistency", params=asked).json()
    proof = unhex(shown["proof"])
    verify_consistency(earlier.size, later.size, earlier.root, later.root, proof)
    assert (shown["from_root"], shown["to_root"]) == (earlier.root.hex(), later.root.hex())


def test_garbage_in_the_signers_memory_refuses_a_new_checkpoint(client: TestClient) -> None:
    process = process_behind(client)
    client.get("/ledger/checkpoint", params={"new": True})
    process.checkpoints.signer.last_path.write_bytes(b"\xff\xfe\x00")
    put(process.ledger, "observations-cars", refused())
    answer = client.get("/ledger/checkpoint", params={"new": True})
    assert (answer.status_code, answer.json()["type"]) == (
        503,
        "urn:whyledger:problem:signing-refused",
    )


def test_tiles_hold_the_leaf_hashes(client: TestClient) -> None:
    leaves = ledger_of(client).leaf_hashes(0, 299)
    full = client.get("/ledger/tiles/0/000")
    assert full.content == b"".join(leaves[:256]) == client.get("/ledger/tiles/0/0").content
    assert "immutable" in full.headers["cache-control"]
    assert client.get("/ledger/tiles/0/001.p/44").content == b"".join(leaves[256:])
    assert client.get("/ledger/tiles/0/001.p/3").content == b"".join(leaves[256:259])
    assert client.get("/ledger/tiles/1/000.p/1").content == root_of(leaves[:256])


def test_a_receipt_needs_nobody_to_be_checked(client: TestClient) -> None:
    answer = client.get("/ledger/events/299", params={"receipt": True})
    receipt = answer.json()["receipt"]
    signed = opened(client, receipt["checkpoint"])
    leaf = bytes.fromhex(receipt["leaf_hash"])
    verify_inclusion(leaf, 299, signed.size, unhex(receipt["proof"]), signed.root)
    content = client.get("/ledger/events/299").content
    assert answer.content.startswith(b'{"envelope":' + content + b',"receipt":')


def test_signing_shows_key_size_and_anchors(client: TestClient) -> None:
    client.get("/ledger/checkpoint", params={"new": True})
    shown = client.get("/ledger/signing").json()
    assert (shown["size"], shown["signed_size"], shown["refusal"]) == (300, 300, None)
    assert shown["anchors"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("path", "status", "saying"),
    [
        ("/ledger/proofs/inclusion?position=300", 422, "position 300 is not in a tree"),
        ("/ledger/proofs/inclusion?position=0&size=301", 422, "size 301 is larger"),
        ("/ledger/proofs/inclusion?position=-1", 422, "greater than or equal to 0"),
        ("/ledger/proofs/inclusion?positon=1", 422, "/query/positon: is not a known field"),
        ("/ledger/proofs/consistency?from=0", 422, "greater than or equal to 1"),
        ("/ledger/proofs/consistency?from=9&to=4", 422, "Ask with 1 <= from <= to"),
        ("/ledger/tiles/0/001", 404, "has no tile 0/001"),
        ("/ledger/tiles/0/001.p/45", 404, "has no tile 0/001.p/45"),
        ("/ledger/tiles/0/000.p/257", 404, "has no tile"),
        ("/ledger/tiles/9/000", 422, "less than or equal to 7"),
        ("/ledger/tiles/7/999999999999999", 404, "has no tile"),
        ("/ledger/tiles/0/12x", 404, "is no tile"),
        ("/ledger/events/300", 404, "no entry 300"),
        ("/ledger/events/9007199254740991", 404, "no entry"),
        ("/ledger/events/99999999999999999999", 422, "less than or equal to"),
    ],
)
def test_what_is_not_there_is_a_problem(
    client: TestClient, path: str, status: int, saying: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, saying in answer.text) == (status, True), answer.text


def test_a_prediction_can_be_asked_for_with_a_receipt_that_proves_it(service: TestClient) -> None:
    asked = {"model": "car-price", "rows": [AMC, {**AMC, "car_id": 7}]}
    answer = service.post("/predictions", json=asked, headers={"Prefer": "receipt"})
    first, second = answer.json()["predictions"]
    assert (first["row"], second["row"]) == (0, 1)
    for made in (first, second):
        proves(service, made["receipt"], made["position"])
        proves_row(service, made["receipt"], made)
    plain = service.post("/predictions", json=asked).json()["predictions"]
    assert all("receipt" not in made for made in plain)


def test_an_event_can_be_sent_for_a_receipt(service: TestClient) -> None:
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/cars",
        "type": "org.whyledger.observation.v1",
        "data": {"model": "car-price", "row": {**AMC, "price": 4.94}},
    }
    answer = service.post("/events", json=event, headers={"Prefer": "respond-async, receipt"})
    (recorded,) = answer.json()["recorded"]
    proves(service, recorded["receipt"], recorded["position"])


def proves(service: TestClient, receipt: dict[str, Any], position: int) -> None:
    """The receipt's proof leads from the entry's bytes to the root that its checkpoint signs."""
    stored = service.get(f"/ledger/events/{position}").content
    assert receipt["position"] == position
    assert receipt["leaf_hash"] == leaf_hash(stored).hex()
    size, root = receipt["checkpoint"].splitlines()[1:3]
    verify_inclusion(
        leaf_hash(stored),
        position,
        int(size),
        [bytes.fromhex(node) for node in receipt["proof"]],
        base64.b64decode(root),
    )


def proves_row(service: TestClient, receipt: dict[str, Any], made: dict[str, Any]) -> None:
    """The receipt's row is the one that was answered, and leads to the root in its entry."""
    assert receipt["row"] == made["row"]
    assert receipt["envelope"].encode() == service.get(f"/ledger/events/{made['position']}").content
    content = receipt["content"].encode()
    assert orjson.loads(content)[0] == made["prediction"]
    check_row_proof(
        receipt["envelope"].encode(),
        row=made["row"],
        salt=bytes.fromhex(receipt["salt"]),
        content=content,
        proof=[bytes.fromhex(node) for node in receipt["row_proof"]],
    )


def test_what_was_recorded_is_answered_even_when_no_receipt_can_be_signed(
    service: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SigningRefused("the ledger has 2 entries, and 4 were signed")

    monkeypatch.setattr("app.proof.receipts.receipt", refuse)
    asked = {"model": "car-price", "row": AMC}
    answer = service.post("/predictions", json=asked, headers={"Prefer": "receipt"})
    assert answer.status_code == 200
    (made,) = answer.json()["predictions"]
    assert made["receipt"] is None
    assert service.get(f"/ledger/events/{made['position']}").status_code == 200
