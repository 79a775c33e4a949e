"""Who may only add rows can neither destroy, nor silence, nor block what is published.

He writes with the database's own statements, as the application's role may; whatever he adds is
refused by the database, or counts for nothing, and is one alarm in plain words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import CHECKPOINTS, PAYLOADS, TILES
from app.proof.checkpoints import Checkpoints
from app.proof.repair import plan_repair, repair
from app.proof.signer import FileSigner
from app.settings import Settings
from domain.errors import LedgerDamaged, SigningRefused
from domain.tree.notes import Checkpoint
from tests.app.planting import erasure, plant_event
from tests.app.proof.forger import change, rewrite
from tests.app.proof.signed_ledger import Kept, fill, leaves_of, verified
from tests.ledger_events import TIME, observation, prediction, put, refused
from tests.told import ToldOnce, retold


@pytest.fixture
def people(ledger: Ledger) -> Ledger:
    """Rows of two models whose data stands apart: entries 1 and 2 of cars, 3 of vans."""
    put(ledger, "observations-cars", observation("car=1"), personal=True)
    put(ledger, "predictions-cars", prediction("car=2"), personal=True)
    put(ledger, "observations-vans", observation("van=1", model="vans"), personal=True)
    return ledger


PLANTED = {
    "data of an entry to come": (PAYLOADS, (9, "cars", "car=9", bytes(32), b"{}", None)),
    "data of an entry that has none apart": (PAYLOADS, (0, "cars", "c", bytes(32), b"{}", None)),
    "a tile to come": (TILES, (0, 0, bytes(32), bytes(8192))),
    "a tile of no level": (TILES, (9, 0, bytes(32), bytes(8192))),
    "a checkpoint beyond the head": (CHECKPOINTS, (10**9, bytes(32), "a note", TIME)),
    "a checkpoint of nothing": (CHECKPOINTS, (0, bytes(32), "a note", TIME)),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_row_that_speaks_of_what_is_not_there_yet_is_refused(
    people: Ledger, planted: str
) -> None:
    table, row = PLANTED[planted]
    with people.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="only grows with the entries"):
            insert_rows(connection, table, [row])


@pytest.fixture
def kept(settings: Settings, told_once: ToldOnce, request: pytest.FixtureRequest) -> Kept:
    """What is kept of a ledger that was signed."""
    kept: Kept = told_once(fill, settings).gives
    return kept


@pytest.fixture
def signed(settings: Settings, told_once: ToldOnce, kept: Kept) -> Settings:
    """Settings on a copy of that ledger, with the signer's key and memory."""
    return retold(told_once(fill, settings), settings)


@pytest.fixture
def signed_ledger(signed: Settings) -> Iterator[tuple[Ledger, Checkpoints]]:
    from app.projections.opening import open_ledger

    ledger = open_ledger(signed)
    checkpoints = Checkpoints(ledger, signed)
    yield ledger, checkpoints
    checkpoints.close()
    ledger.close()


@pytest.mark.parametrize("note", ["garbage", "", "\u2014 x", "another key's"])
def test_a_checkpoint_nobody_signed_counts_for_nothing_and_is_one_alarm(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept, tmp_path: Path, note: str
) -> None:
    ledger, checkpoints = signed_ledger
    if note == "another key's":
        forger = FileSigner(tmp_path / "forged" / "signing.key", kept.key.name)
        note = forger.sign(Checkpoint(kept.key.name, 310, bytes(32)), lambda _: (), lambda *_: ())
    with ledger.engine.begin() as connection:
        insert_rows(connection, CHECKPOINTS, [(310, bytes(32), note, TIME)])
    assert checkpoints.latest().checkpoint.size == 300
    assert str(checkpoints.strange).startswith("the database holds a checkpoint of 310 entries")
    assert checkpoints.sign().checkpoint.size == ledger.size()
    assert "the checkpoint of size 310" in {each.thing for each in verified(ledger, kept).breaks}


def test_who_takes_the_place_of_the_next_checkpoint_stops_no_signing(
    signed_ledger: tuple[Ledger, Checkpoints],
) -> None:
    ledger, checkpoints = signed_ledger
    with ledger.engine.begin() as connection:
        insert_rows(connection, CHECKPOINTS, [(ledger.size(), bytes(32), "mine", TIME)])
    assert checkpoints.sign().checkpoint.size == ledger.size()
    assert checkpoints.signer.last() == checkpoints.sign().checkpoint
    put(ledger, "observations-cars", refused())
    checkpoints.sign()
    assert checkpoints.latest().checkpoint.size == ledger.size()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_head SET size = 100000, frontier = :zeros",
        "UPDATE ledger_head SET size = 1024",
        "UPDATE ledger_head SET frontier = :zeros",
    ],
)
def test_a_head_that_somebody_moved_stops_appends_until_it_is_repaired_and_says_so(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept, statement: str
) -> None:
    ledger, checkpoints = signed_ledger
    before = ledger.size()
    with ledger.engine.begin() as connection:  # the application's role may do this
        connection.execute(
            text(statement),
            {"zeros": bytes(32 * 6)} if ":zeros" in statement else {},
        )
    last = checkpoints.signer.last()
    planned = plan_repair(ledger, kept.key, last)
    assert [step.partition(" says ")[0] for step in planned.steps] == ["the tree's head"]
    assert plan_repair(ledger, kept.key, last) == planned
    assert repair(ledger, kept.key, last) == planned
    assert plan_repair(ledger, kept.key, last).steps == ()
    assert verified(ledger, kept).breaks == ()
    put(ledger, "observations-cars", refused())
    assert ledger.size() == before + 1


def test_a_repair_mends_tiles_and_removes_what_nobody_signed(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    with ledger.engine.begin() as connection:
        insert_rows(connection, CHECKPOINTS, [(310, bytes(32), "garbage", TIME)])
    change(
        ledger,
        "UPDATE tiles SET bytes = root",
        "INSERT INTO tiles SELECT 0, 7, root, root FROM tiles",
    )
    done = repair(ledger, kept.key, checkpoints.signer.last())
    assert [step.partition(" is ")[0] for step in done.steps] == [
        "tile 0/0",
        "tile 0/7",
        "the checkpoint of 310 entries",
    ]
    assert verified(ledger, kept).breaks == ()
    with ledger.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="only grows"):  # the guards stand again
            connection.execute(text("DELETE FROM tiles"))


def test_nothing_is_repaired_over_entries_that_are_not_those_that_were_signed(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    last = checkpoints.signer.last()
    change(ledger, "DELETE FROM entries WHERE position > 290")
    with pytest.raises(LedgerDamaged, match="the entries are not those that were signed"):
        plan_repair(ledger, kept.key, last)
    change(ledger, "DELETE FROM entries WHERE position = 57")
    with pytest.raises(LedgerDamaged, match="has entry 58 where 57 should stand"):
        repair(ledger, kept.key, last)


def test_an_entry_behind_the_heads_back_is_an_alarm_in_plain_words(people: Ledger) -> None:
    with people.engine.begin() as connection:
        plant_event(connection, erasure(), taken_up=False)
    with pytest.raises(LedgerDamaged) as refusal:
        put(people, "observations-cars", refused())
    assert "5 entries and its tree 4" in refusal.value.message
    assert [met.said for met in people.met.all()] == [refusal.value.message]


def test_a_row_in_the_way_of_an_append_is_told_without_sql(people: Ledger) -> None:
    change(
        people,
        "INSERT INTO payloads SELECT 4, model, identity, salt, bytes, request_digest"
        " FROM payloads WHERE position = 1",
    )
    with pytest.raises(LedgerDamaged) as refusal:
        put(people, "observations-cars", observation("car=5"), personal=True)
    assert "a row stands in the ledger's tables where an append puts its own" in str(refusal.value)
    assert "INSERT" not in str(refusal.value)


def test_checkpoints_removed_from_the_database_take_nothing_from_what_was_kept(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    change(ledger, "DELETE FROM checkpoints")
    assert (verified(ledger, kept).breaks, verified(ledger, kept).covered) == ((), 300)
    without = verified(ledger, kept, note=False)
    assert without.unproven.startswith("entries 0 to 319")  # that shows it
    assert checkpoints.sign().checkpoint.size == ledger.size()


def test_garbage_in_the_memory_of_leaves_is_named_and_written_again_once_removed(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    signer = checkpoints.signer
    signer.leaves_path.write_bytes(b"garbage" * 2000)
    garbage = Kept(kept.key, kept.note, leaves_of(signer))
    (only,) = verified(ledger, garbage).breaks
    assert (only.position, only.thing) == (None, "the signer's memory of leaf hashes")
    signer.leaves_path.unlink()
    note = checkpoints.sign().note
    assert verified(ledger, Kept(kept.key, note, leaves_of(signer))).breaks == ()


def test_an_older_database_with_its_older_memory_is_shown_by_a_checkpoint_kept_elsewhere(
    signed_ledger: tuple[Ledger, Checkpoints], kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    elsewhere = checkpoints.sign().note
    older = Kept(kept.key, elsewhere, kept.leaves)
    change(ledger, "DELETE FROM checkpoints WHERE size > 300")
    rewrite(ledger, lambda contents: contents[:310])
    checkpoints.signer.last_path.write_text(kept.note)
    assert checkpoints.sign().checkpoint.size == 310  # nothing here can know
    (first, *_) = verified(ledger, older).breaks
    assert first.sentence().endswith("320 were signed; found the ledger ends there.")


def test_a_replaced_key_is_an_alarm_and_no_checkpoint_of_the_old_one_is_taken_for_its_own(
    signed_ledger: tuple[Ledger, Checkpoints], signed: Settings, kept: Kept
) -> None:
    ledger, checkpoints = signed_ledger
    checkpoints.signer.path.unlink()
    with pytest.raises(SigningRefused, match=r"signing\.key is missing"):
        Checkpoints(ledger, signed).sign()
    checkpoints.signer.last_path.unlink()
    replaced = Checkpoints(ledger, signed)
    with pytest.raises(SigningRefused, match=r"Was the key replaced\?.*Nothing is signed"):
        replaced.sign()
    assert "did not sign for this ledger" in str(replaced.strange)
    removed = repair(ledger, replaced.signer.key, None).steps
    assert [step.partition(" is ")[0] for step in removed] == [
        f"the checkpoint of {size} entries" for size in (120, 260, 300)
    ]
    assert replaced.sign().checkpoint.size == ledger.size()
    assert "is not signed by" in " ".join(each.found for each in verified(ledger, kept).breaks)
    replaced.close()
