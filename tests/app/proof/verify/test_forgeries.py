"""Forgeries by somebody who owns the database: each is found, and its position named, on both.

He recomputes every hash column and read model, and puts the guards back. What he cannot do is sign,
or reach what was kept outside: the key, the last checkpoint, the signer's memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from app.ledger.store import Ledger
from app.projections.policies import POLICIES
from app.proof.checkpoints import Checkpoints
from app.proof.signer import FileSigner
from app.settings import Settings
from domain.canonical import canonical_bytes, sha256_hex
from domain.errors import LedgerDamaged, SigningRefused
from domain.tree.notes import Checkpoint
from tests.app.proof.forger import change, edited, forget_checkpoints, rewrite, stored_as
from tests.app.proof.signed_ledger import (
    PLAN,
    POLICY,
    PROMOTED,
    SIGNED,
    SIZE,
    Kept,
    checked,
    exported,
    fill,
    grow_to,
    verified,
)
from tests.told import ToldOnce, retold

EDITED = 57
Forge = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def settings(settings: Settings, told_once: ToldOnce) -> Settings:
    """What `fill` wrote and signed stands in the ledger."""
    return retold(told_once(fill, settings), settings)


@pytest.fixture
def kept(settings: Settings, told_once: ToldOnce) -> Kept:
    kept: Kept = told_once(fill, settings).gives
    return kept


def edit(position: int, **changes: object) -> Forge:
    def forge(contents: list[bytes]) -> list[bytes]:
        contents[position] = edited(contents[position], **changes)
        return contents

    return forge


def delete(contents: list[bytes]) -> list[bytes]:
    del contents[EDITED]
    return contents


def insert(contents: list[bytes]) -> list[bytes]:
    another = json.loads(contents[EDITED])
    another["id"] = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
    contents.insert(EDITED, canonical_bytes(another))
    return contents


def swap(contents: list[bytes]) -> list[bytes]:
    contents[EDITED], contents[EDITED + 30] = contents[EDITED + 30], contents[EDITED]
    return contents


def truncate(contents: list[bytes]) -> list[bytes]:
    return contents[:280]


def edit_policy(contents: list[bytes]) -> list[bytes]:
    document = {"id": "strict-and", "version": 1, "clauses": []}
    digest = sha256_hex(canonical_bytes(document))
    return edit(POLICY, document=document, policy_digest=digest)(contents)


HISTORIES = {
    "edited body": (edit(EDITED, model="vans"), EDITED),
    "deleted event": (delete, EDITED),
    "inserted event": (insert, EDITED),
    "two swapped": (swap, EDITED),
    "truncated tail": (truncate, 280),
    "edited policy": (edit_policy, POLICY),
    "edited first entry": (edit(0, format=1, ledger_id="another"), 0),
}


def test_a_ledger_nobody_touched_is_whole(ledger: Ledger, kept: Kept, tmp_path: Path) -> None:
    found = verified(ledger, kept)
    assert found.breaks == ()
    assert (found.entries, found.checkpoints, found.covered) == (SIZE, 3, 300)
    assert found.read_models > 5
    assert found.unproven == (
        "entries 300 to 319 lie after the last retained checkpoint (300 entries): "
        "they are unproven."
    )
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path)
    assert code == 0
    assert f"root         {found.root}" in said
    assert "unproven     entries 300 to 319" in said


@pytest.mark.parametrize("hidden", [False, True], ids=["checkpoints left", "checkpoints removed"])
@pytest.mark.parametrize("forgery", HISTORIES)
def test_another_history_is_found_at_its_first_position(
    ledger: Ledger, kept: Kept, tmp_path: Path, forgery: str, hidden: bool
) -> None:
    forge, position = HISTORIES[forgery]
    rewrite(ledger, forge)
    if hidden:
        forget_checkpoints(ledger)
    found = verified(ledger, kept)
    assert found.breaks[0].position == position, found.breaks[0].sentence()
    assert found.covered <= position
    bundle = exported(ledger, kept, tmp_path / "bundle.zip")
    code, said = checked(bundle, kept, tmp_path)
    assert (code, said.splitlines()[-1][: len(f"BROKEN: position {position}:")]) == (
        1,
        f"BROKEN: position {position}:",
    )


@pytest.mark.parametrize("forgery", [name for name in HISTORIES if "tail" not in name])
def test_without_the_memory_the_checkpoints_around_it_are_named(
    ledger: Ledger, kept: Kept, tmp_path: Path, forgery: str
) -> None:
    forge, _ = HISTORIES[forgery]
    rewrite(ledger, forge)
    first = verified(ledger, kept, leaves=False).breaks[0]
    assert first.position == 0
    assert f"entries 0 to {SIGNED[0] - 1}" in first.sentence()
    bundle = exported(ledger, kept, tmp_path / "bundle")
    code, said = checked(bundle, kept, tmp_path, ["note"])
    assert code == 1
    assert f"positions 0 to {SIGNED[0] - 1}: expected the root" in said


def test_a_restored_older_copy_is_found_and_not_signed(
    ledger: Ledger, kept: Kept, settings: Settings, tmp_path: Path
) -> None:
    rewrite(ledger, lambda contents: contents[: SIGNED[1]])
    change(ledger, f"DELETE FROM checkpoints WHERE size > {SIGNED[1]}")
    assert verified(ledger, kept, note=False, leaves=False).whole  # it is a true copy: it was so
    first = verified(ledger, kept).breaks[0]
    assert first.position == SIGNED[1]
    assert "expected an entry: 300 were signed; found the ledger ends there" in first.sentence()
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path)
    assert code == 1
    assert f"BROKEN: position {SIGNED[1]}: expected an entry, 300 were signed" in said
    with pytest.raises(SigningRefused, match="has 260 entries, and 300 were signed"):
        Checkpoints(ledger, settings).sign()


def test_a_forked_continuation_is_found_and_not_signed(
    ledger: Ledger, kept: Kept, settings: Settings, tmp_path: Path
) -> None:
    rewrite(ledger, lambda contents: contents[:200])
    forget_checkpoints(ledger)
    grow_to(ledger, 340)
    found = verified(ledger, kept)
    assert found.breaks[0].position == 200
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path)
    assert (code, "BROKEN: position 200:" in said) == (1, True)
    with pytest.raises(SigningRefused, match="100 are missing, and 140 others stand"):
        Checkpoints(ledger, settings).sign()


def test_dropped_triggers_and_an_edit_without_more_are_found(ledger: Ledger, kept: Kept) -> None:
    content = edited(ledger.stored_bytes(EDITED, EDITED)[0], model="vans")
    change(
        ledger, f"UPDATE entries SET bytes = :content WHERE position = {EDITED}", content=content
    )
    for found in (verified(ledger, kept), verified(ledger, kept, leaves=False)):
        assert found.breaks[0].position == EDITED


def test_dropped_triggers_alone_are_found(ledger: Ledger, kept: Kept) -> None:
    from tests.app.proof.forger import drop_guards

    with ledger.engine.connect() as connection:
        drop_guards(connection)
        connection.commit()
    (only,) = verified(ledger, kept).breaks
    assert "the database's guards" in only.sentence()
    assert "entries_refuse" in only.found


def test_a_serving_plan_exchanged_under_its_name_is_found(
    ledger: Ledger, kept: Kept, tmp_path: Path
) -> None:
    change(
        ledger,
        "UPDATE artefacts SET bytes = :other WHERE sha256 = :name",
        other=b"another plan",
        name=sha256_hex(PLAN),
    )
    first = verified(ledger, kept).breaks[0]
    assert first.position == PROMOTED
    assert first.thing == "the artefact it names as plan_sha256"
    assert (first.expected, first.found) == (sha256_hex(PLAN), sha256_hex(b"another plan"))
    code, said = checked(exported(ledger, kept, tmp_path / "bundle.zip"), kept, tmp_path)
    assert (code, f"BROKEN: position {PROMOTED}: expected the artefact" in said) == (1, True), said


def test_a_serving_plan_exchanged_with_its_name_and_event_is_found(
    ledger: Ledger, kept: Kept, tmp_path: Path
) -> None:
    other = sha256_hex(b"another plan")
    change(
        ledger,
        "UPDATE artefacts SET bytes = :content, sha256 = :other WHERE sha256 = :name",
        content=b"another plan",
        other=other,
        name=sha256_hex(PLAN),
    )
    rewrite(ledger, edit(PROMOTED, plan_sha256=other))
    assert verified(ledger, kept).breaks[0].position == PROMOTED
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path)
    assert (code, f"BROKEN: position {PROMOTED}: " in said) == (1, True)


def test_a_policy_edited_in_its_read_model_is_found(ledger: Ledger, kept: Kept) -> None:
    change(ledger, f"UPDATE {stored_as(ledger, POLICIES)} SET document = '{{}}'")
    first = verified(ledger, kept).breaks[0]
    assert (first.position, first.thing) == (POLICY, "the read model 'policies_1'")


@pytest.mark.parametrize(
    ("statement", "thing"),
    [
        (
            "UPDATE entries SET stream_version = stream_version + 1000 WHERE position = 57",
            "version",
        ),
        ("UPDATE entries SET type = 'other' WHERE position = 57", "column 'type'"),
        ("UPDATE entries SET recorded_at = 'later' WHERE position = 57", "column 'recorded_at'"),
        ("UPDATE entries SET id = 'other' WHERE position = 57", "column 'id'"),
        ("UPDATE entries SET leaf_hash = root FROM tiles WHERE position = 57", "stored leaf hash"),
        ("DELETE FROM entries WHERE position = 57", "none; the next is 58"),
        ("UPDATE entries SET position = 5700 WHERE position = 57", "none; the next is 58"),
        ("UPDATE entries SET bytes = leaf_hash WHERE position = 57", "leaf hash"),
    ],
)
def test_an_edited_column_is_found(ledger: Ledger, kept: Kept, statement: str, thing: str) -> None:
    change(ledger, statement)
    first = verified(ledger, kept, leaves=False).breaks[0]
    assert (first.position, thing in first.sentence()) == (57, True), first.sentence()


@pytest.mark.parametrize(
    ("statement", "thing"),
    [
        ("UPDATE tiles SET bytes = :zeros", "tile 0/0"),
        ("UPDATE tiles SET root = :zeros", "tile 0/0"),
        ("DELETE FROM tiles", "tile 0/0"),
        ("INSERT INTO tiles SELECT 0, 7, root, bytes FROM tiles", "the tiles"),
        ("UPDATE ledger_head SET size = 312, frontier = :zeros", "the tree's head"),
        ("DELETE FROM ledger_head", "the tree's head"),
        ("UPDATE checkpoints SET note = 'nothing' WHERE size = 260", "the checkpoint of size 260"),
        ("UPDATE checkpoints SET root = :zeros WHERE size = 260", "the checkpoint of size 260"),
    ],
)
def test_an_edited_tree_or_checkpoint_is_found(
    ledger: Ledger, kept: Kept, statement: str, thing: str
) -> None:
    change(ledger, statement, zeros=bytes(4 * 32))
    assert thing in {each.thing for each in verified(ledger, kept).breaks}


def test_checkpoints_of_another_key_are_found(ledger: Ledger, kept: Kept, tmp_path: Path) -> None:
    rewrite(ledger, HISTORIES["edited body"][0])
    forget_checkpoints(ledger)
    forger = FileSigner(tmp_path / "forged" / "signing.key", kept.key.name)
    from app.ledger.tree import StoredTree

    with ledger.connect() as connection:
        tree = StoredTree(connection, 300)
        checkpoint = Checkpoint(kept.key.name, 300, tree.root())
    note = forger.sign(checkpoint, tree.consistency, lambda a, b: ledger.leaf_hashes(a, b - 1))
    change(
        ledger,
        "INSERT INTO checkpoints VALUES (300, :root, :note, '2026-01-01T00:00:00.000000Z')",
        root=checkpoint.root,
        note=note,
    )
    found = verified(ledger, kept)
    assert found.breaks[0].position == EDITED
    assert "is not signed by" in " ".join(each.found for each in found.breaks)
    bundle = exported(ledger, kept, tmp_path / "bundle")
    code, said = checked(bundle, kept, tmp_path)
    assert (code, "the wrong key" in said) == (1, True)


def test_what_lies_after_the_last_checkpoint_is_said_to_be_unproven(
    ledger: Ledger, kept: Kept, tmp_path: Path
) -> None:
    rewrite(ledger, edit(310, model="vans"))
    found = verified(ledger, kept)
    assert found.whole
    assert found.unproven.startswith("entries 300 to 319")
    code, said = checked(exported(ledger, kept, tmp_path / "bundle"), kept, tmp_path)
    assert (code, "unproven     entries 300 to 319" in said) == (0, True)


def test_a_memory_nobody_signed_names_nothing(ledger: Ledger, kept: Kept) -> None:
    rewrite(ledger, HISTORIES["edited body"][0])
    wrong = Kept(kept.key, kept.note, bytes(len(kept.leaves)))
    assert verified(ledger, wrong).breaks[0].sentence().startswith("position 0: entries 0 to 119")


def test_without_a_key_nothing_is_proven(ledger: Ledger, kept: Kept) -> None:
    from app.proof.verify.verification import verify

    found = verify(ledger, None, retained=[kept.note], read_models=False)
    assert found.whole
    assert (found.covered, found.checkpoints, found.read_models) == (0, 0, 0)
    assert found.unproven.startswith("entries 0 to 319")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE artefacts SET bytes = 'another plan'", "column 'bytes' of 'artefacts'"),
        ("UPDATE tiles SET bytes = 'other'", "column 'bytes' of 'tiles'"),
        ("UPDATE checkpoints SET note = x'00' WHERE size = 260", "size 260: column 'note'"),
        ("UPDATE ledger_head SET frontier = 'none'", "column 'frontier' of 'ledger_head'"),
        ("UPDATE entries SET type = CAST(x'ff' AS TEXT) WHERE position = 57", "cannot be read"),
        ("DROP TABLE tiles", "the database cannot be read: no such table: tiles"),
    ],
)
def test_a_table_no_reader_expects_is_damage_and_no_fault_of_ours(
    ledger: Ledger, kept: Kept, tmp_path: Path, statement: str, said: str
) -> None:
    from tests.app.proof.forger import drop_guards

    with ledger.engine.connect() as connection:
        drop_guards(connection)
        connection.execute(text(statement))
        connection.commit()
    with pytest.raises(LedgerDamaged, match=re.escape(said)):
        verified(ledger, kept)
    if "CAST" not in statement:  # a column that stands in no bundle
        with pytest.raises(LedgerDamaged, match=re.escape(said)):
            exported(ledger, kept, tmp_path / "bundle")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("column", "text_"), [("bytes", "replace(bytes, 'cars', 'vans')"), ("leaf_hash", "'none'")]
)
def test_text_where_sqlite_should_hold_bytes_is_found(
    ledger: Ledger, kept: Kept, tmp_path: Path, column: str, text_: str
) -> None:
    change(ledger, f"UPDATE entries SET {column} = {text_} WHERE position = {EDITED}")
    first = verified(ledger, kept).breaks[0]
    said = f"position {EDITED}: column '{column}': expected bytes; found str."
    assert first.sentence() == said
    with pytest.raises(LedgerDamaged, match=f"position {EDITED}: column '{column}'"):
        exported(ledger, kept, tmp_path / "bundle")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_table_that_is_gone_is_damage_on_postgresql_too(ledger: Ledger, kept: Kept) -> None:
    with ledger.engine.connect() as connection:
        connection.execute(text("DROP TABLE tiles"))
        connection.commit()
    with pytest.raises(LedgerDamaged, match='relation "tiles" does not exist'):
        verified(ledger, kept)


@pytest.mark.parametrize(
    "field", [{"stream": {}}, {"id": []}, {"type": 7}, {"data": None}], ids="-".join
)
def test_an_envelope_of_another_shape_is_found(
    ledger: Ledger, kept: Kept, field: dict[str, object]
) -> None:
    envelope = json.loads(ledger.stored_bytes(EDITED, EDITED)[0]) | field
    change(
        ledger,
        f"UPDATE entries SET bytes = :content WHERE position = {EDITED}",
        content=canonical_bytes(envelope),
    )
    assert verified(ledger, kept).breaks[0].position == EDITED
