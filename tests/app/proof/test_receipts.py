"""A row's receipt leads from its line to a signed root, shows no other row, and needs nobody."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.ledger.store import Ledger
from app.proof.checkpoints import Checkpoints
from app.proof.receipts import Receipt, RowReceipt, receipt, row_receipts
from app.proof.signer import check_ed25519
from app.settings import Settings
from domain.blocks.row_proofs import check_row_proof
from domain.canonical import leaf_hash
from domain.errors import LedgerDamaged, ProofInvalid, UnknownThing
from domain.tree.notes import VerifierKey, open_checkpoint, parse_verifier_key
from domain.tree.proofs import verify_inclusion
from tests.app.many_rows import predictions, put_many
from tests.app.proof.forged_rows import FIRST, erase, fill
from tests.app.proof.forger import change
from tests.repository import REPOSITORY

PATH = REPOSITORY / "tests" / "vectors" / "receipts" / "row-1-of-3.json"
VECTOR: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


def check(said: dict[str, Any], key: VerifierKey, **held: Any) -> None:
    """Accept a receipt, as JSON, by `docs/bundle.md`; `held`: a row's salt and content.

    Raises ProofInvalid: it shows nothing.
    """
    shown = said | held
    leaf = check_row_proof(
        shown["envelope"].encode(),
        row=shown["row"],
        salt=bytes.fromhex(shown["salt"]),
        content=shown["content"].encode(),
        proof=[bytes.fromhex(each) for each in shown["row_proof"]],
    )
    signed = open_checkpoint(shown["checkpoint"], key, check_ed25519)
    proof = [bytes.fromhex(each) for each in shown["proof"]]
    assert leaf.hex() == shown["leaf_hash"]
    verify_inclusion(leaf, shown["position"], signed.size, proof, signed.root)


def test_a_receipt_is_checked_step_by_step_as_the_vector_says() -> None:
    said, key = VECTOR["receipt"], parse_verifier_key(VECTOR["verifier_key"])
    check(said, key)
    row_leaf = leaf_hash(bytes.fromhex(said["salt"]) + said["content"].encode())
    signed = open_checkpoint(said["checkpoint"], key, check_ed25519)
    assert row_leaf.hex() == VECTOR["row_leaf"]
    assert json.loads(said["envelope"])["data"]["rows_root"] == VECTOR["rows_root"]
    assert leaf_hash(said["envelope"].encode()).hex() == VECTOR["entry_leaf"]
    assert (signed.size, signed.root.hex()) == (VECTOR["size"], VECTOR["root"])
    made = RowReceipt(
        entry=Receipt(
            position=said["position"],
            leaf_hash=bytes.fromhex(said["leaf_hash"]),
            proof=tuple(bytes.fromhex(each) for each in said["proof"]),
            checkpoint=said["checkpoint"],
        ),
        row=said["row"],
        rows=said["rows"],
        salt=bytes.fromhex(said["salt"]),
        content=said["content"].encode(),
        row_proof=tuple(bytes.fromhex(each) for each in said["row_proof"]),
        envelope=said["envelope"].encode(),
    )
    assert made.as_json() == said
    erased = replace(made, salt=None, content=None).as_json()
    assert erased == said | {"salt": None, "content": None}


OTHER: dict[str, dict[str, Any]] = {
    "another index": {"row": 0},
    "an index behind the last": {"row": 3},
    "another salt": {"salt": "02" * 15 + "03"},
    "another content": {"content": VECTOR["receipt"]["content"].replace("5.5", "5.6")},
    "no path": {"row_proof": []},
    "the entry's path": {"row_proof": VECTOR["receipt"]["proof"]},
    "another envelope": {"envelope": VECTOR["receipt"]["envelope"].replace('"rows":3', '"rows":4')},
    "a row's leaf as an entry's": {
        "envelope": VECTOR["receipt"]["content"],
        "leaf_hash": VECTOR["row_leaf"],
        "proof": VECTOR["receipt"]["row_proof"],
    },
}


@pytest.mark.parametrize("other", OTHER)
def test_nothing_else_is_shown_by_it(other: str) -> None:
    key = parse_verifier_key(VECTOR["verifier_key"])
    with pytest.raises((ProofInvalid, AssertionError)):
        check(VECTOR["receipt"], key, **OTHER[other])


def test_how_many_rows_there_are_is_not_believed_of_the_receipt() -> None:
    """Its path is the same in a tree of four: `rows` beside it may say so, and nothing follows."""
    check(VECTOR["receipt"] | {"rows": 4}, parse_verifier_key(VECTOR["verifier_key"]))


def test_each_row_has_a_receipt_of_its_own_also_once_it_is_erased(
    ledger: Ledger, settings: Settings
) -> None:
    fill(ledger)
    checkpoints = Checkpoints(ledger, settings)
    key = checkpoints.signer.key
    before = [
        [each.as_json() for each in row_receipts(ledger, checkpoints, at, range(rows))]
        for at, rows in ((1, 3), (2, 3), (3, 2))
    ]
    for said in (each for entry in before for each in entry):
        check(said, key)
        others = {each["content"] for entry in before for each in entry} - {said["content"]}
        assert not any(str(other) in json.dumps(said) for other in others)

    erase(ledger, (1, 1))
    for said in (each for entry in before for each in entry):
        check(said, key)
    [gone, other] = row_receipts(ledger, checkpoints, 1, [1, 2])
    assert (gone.salt, gone.content) == (None, None)
    held = {name: before[0][1][name] for name in ("salt", "content")}
    check(gone.as_json(), key, **held)  # whoever holds the row still can show it
    check(other.as_json(), key)
    assert receipt(ledger, checkpoints, 1) == other.entry
    checkpoints.close()


def test_there_is_none_where_there_is_no_such_row_or_it_was_changed(
    sqlite_ledger: Ledger, sqlite_settings: Settings
) -> None:
    put_many(sqlite_ledger, predictions(1, 2, 3), FIRST)
    checkpoints = Checkpoints(sqlite_ledger, sqlite_settings)
    with pytest.raises(UnknownThing, match="entry 1 has no row 3: it has 3, from 0 on"):
        row_receipts(sqlite_ledger, checkpoints, 1, [3])
    with pytest.raises(UnknownThing, match=r"entry 0 is one row alone.*GET /ledger/events/0"):
        row_receipts(sqlite_ledger, checkpoints, 0, [0])
    with pytest.raises(UnknownThing, match="no entry 2"):
        row_receipts(sqlite_ledger, checkpoints, 2, [0])
    change(sqlite_ledger, "UPDATE blocks SET salts = :zeros", zeros=bytes(48))
    with pytest.raises(LedgerDamaged, match="rows that stand apart for entry 1 are not as written"):
        row_receipts(sqlite_ledger, checkpoints, 1, [0])
    change(sqlite_ledger, "DELETE FROM blocks")
    with pytest.raises(LedgerDamaged, match="the rows of entry 1 are missing"):
        row_receipts(sqlite_ledger, checkpoints, 1, [0])
    checkpoints.close()
