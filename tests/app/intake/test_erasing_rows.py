"""A person's rows of entries of many go one by one, and the others keep their proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from app.cause import Cause
from app.intake.erasure import Erasure, erase
from app.ledger.deciding import decide_under_lock
from app.ledger.store import Ledger
from app.ledger.tables import BLOCKS
from app.projections.rebuild import rebuild
from app.proof.checkpoints import Checkpoints
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.blocks.ids import prediction_id
from domain.blocks.row_proofs import RowTree, check_row_proof
from domain.errors import LedgerDamaged
from domain.events.block_events import RowPlace
from domain.events.cloud_event import cloud_event
from domain.events.envelope import Recorded
from domain.events.expansion import expanded
from tests.app.many_rows import observations, outcomes, predictions, put_many
from tests.app.people import MARKER, People, forgets, holders, key_of, rows_with
from tests.app.proof.forger import change
from tests.ledger_events import contract_adopted, put

FIRST = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"


def test_erasing_reaches_rows_of_many_in_one_entry_and_leaves_every_proof(
    people_together: People,
) -> None:
    cars, row = people_together
    size = cars.ledger.size()
    made, seen, labelled = cars.ledger.read(size - 4)
    hashes = cars.ledger.leaf_hashes(0, size - 1)
    receipts = [(entry, each) for entry in (made, seen, labelled) for each in proofs(entry)]
    checkpoints = Checkpoints(cars.ledger, cars.settings)
    checkpoints.sign()

    found = forgets(cars, row)

    assert found.event is not None
    assert found.event.rows == tuple(RowPlace(position=at, row=1) for at in range(size - 3, size))
    assert len(found.event.entries) == 3, "observed, predicted, labelled again"
    assert (found.beyond, found.unread, found.left) == ((), (), None)
    for needle in (MARKER, key_of(row)):
        assert set(rows_with(cars.ledger, needle).values()) == {0}
    assert holders(cars.settings.state_dir.parent, MARKER.encode(), key_of(row).encode()) == []
    assert cars.ledger.leaf_hashes(0, size - 1) == hashes
    for entry, (number, salt, line, proof) in receipts:
        content = cars.ledger.stored_bytes(entry.position, entry.position)[0]
        assert hashes[entry.position] == check_row_proof(
            content, row=number, salt=salt, content=line, proof=proof
        )
    assert rebuild(cars.ledger, page_entries=7).differing == ()
    checkpoints.sign()
    key, note = checkpoints.signer.key, checkpoints.signer.last_note() or ""
    leaves = checkpoints.signer.remembered_leaves()
    checkpoints.close()
    checked = verify(cars.ledger, key, retained=[note], remembered=leaves)
    assert (checked.breaks, checked.erased, checked.erased_rows) == ((), 3, 3)
    assert (forgets(cars, row).event, cars.ledger.size()) == (None, size + 1)


def proofs(entry: Recorded) -> list[tuple[int, bytes, bytes, Sequence[bytes]]]:
    """What the receipt of each row of an entry shows: row, salt, line and proof."""
    assert entry.rows_apart is not None
    block = entry.rows_apart.block
    tree = RowTree(block.leaves())
    return [(row, block.salt(row), line, tree.proof(row)) for row, line in enumerate(block.lines)]


@pytest.fixture
def three_kinds(ledger: Ledger) -> Ledger:
    """Predictions at 2 and 4, observations at 3, outcomes at 5; cars 1 to 3 in each but 4."""
    put(ledger, "model-cars", contract_adopted())
    made = put_many(ledger, predictions(1, 2, 3), FIRST)
    put_many(ledger, observations(2, 3, 1))
    put_many(ledger, predictions(1, 1))
    put_many(
        ledger,
        outcomes(*((prediction_id(made.id, row), f"car={row + 1}") for row in (1, 0, 2))),
    )
    digests = {"two": bytes(range(1, 33)), "three": bytes(range(1, 49))}
    set_to = "UPDATE blocks SET request_digest = :two, digests ="
    change(ledger, f"{set_to} :three WHERE position <> 4", **digests)
    change(ledger, f"{set_to} :two WHERE position = 4", two=digests["two"])
    return ledger


def forget(ledger: Ledger, settings: Settings, car: int) -> Erasure:
    return erase(
        ledger,
        settings,
        model="cars",
        identity=f"car={car}",
        reason="the owner asked",
        legal_basis="GDPR Art. 17",
        cause=Cause.unauthenticated("asked"),
    )


def named(found: Erasure) -> list[tuple[int, int]]:
    """Position and row of each that was erased."""
    return [(each.position, each.row) for each in found.event.rows] if found.event else []


def shown(ledger: Ledger) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """Position and row of each row, and how `GET /events` shows it."""
    for row in expanded(ledger.read(1, 4)):
        yield (row.position, row.row), cloud_event(row, "a ledger")


def test_first_last_all_and_the_only_row_that_is_left_are_erased_however_few_are_held_at_once(
    three_kinds: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = three_kinds
    for name, most in {
        "reading._AT_ONCE": 3,
        "finding_rows._AT_ONCE": 3,
        "finding_rows._FEW": 2,
    }.items():
        monkeypatch.setattr(f"app.ledger.{name}", most)
    monkeypatch.setattr("app.ledger.reading.PAGE_ROWS_MAX", 5)
    before = dict(shown(ledger))
    gone: set[tuple[int, int]] = set()
    for car, rows in (
        (1, [(2, 0), (3, 2), (4, 0), (4, 1), (5, 1)]),
        (2, [(2, 1), (3, 0), (5, 0)]),
        (3, [(2, 2), (3, 1), (5, 2)]),
    ):
        found = forget(ledger, settings, car)
        assert (named(found), found.left) == (rows, None)
        gone |= {*rows}
        for place, event in shown(ledger):
            assert event["id"] == before[place]["id"]
            assert (event.get("erased", False), "data" in event) == (
                place in gone,
                place not in gone,
            )
            assert place in gone or event == before[place]
    with ledger.snapshot() as connection:
        for block in connection.execute(select(BLOCKS).order_by(BLOCKS.c.position)):
            assert (set(block.salts), set(block.digests)) == ({0}, {0})
            assert block.request_digest is None
    assert forget(ledger, settings, 1).event is None
    assert verify(ledger, None).breaks == ()
    assert rebuild(ledger).differing == ()


def test_with_a_row_goes_its_digest_and_that_of_its_request_and_no_other(
    three_kinds: Ledger, settings: Settings
) -> None:
    forget(three_kinds, settings, 2)
    with three_kinds.snapshot() as connection:
        found = {row.position: row for row in connection.execute(select(BLOCKS))}
    whole = bytes(range(1, 49))
    assert bytes(found[2].digests) == whole[:16] + bytes(16) + whole[32:]
    assert bytes(found[3].digests) == bytes(16) + whole[16:]
    assert [found[at].request_digest is None for at in (2, 3, 4, 5)] == [True, True, False, True]
    assert bytes(found[4].digests) == bytes(range(1, 33))


def test_rows_that_come_in_between_are_found_under_the_lock_and_what_went_is_not_named(
    three_kinds: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first reading and the lock a row comes in, and another erasure is done."""
    first = iter((True,))
    others: list[Erasure] = []

    def others_go_first(*asked: Any, **how: Any) -> Any:
        if next(first, False):
            put_many(three_kinds, predictions(9, 1))
            others.append(forget(three_kinds, settings, 1))
            put_many(three_kinds, predictions(1, 9))
        return decide_under_lock(*asked, **how)

    monkeypatch.setattr("app.intake.erasure.decide_under_lock", others_go_first)
    found = forget(three_kinds, settings, 1)
    assert named(others[0]) == [(2, 0), (3, 2), (4, 0), (4, 1), (5, 1), (6, 1)]
    assert named(found) == [(8, 0)]


def test_rows_that_somebody_changed_are_said_and_keep_no_other_row_from_its_erasure(
    three_kinds: Ledger, settings: Settings
) -> None:
    change(three_kinds, "UPDATE blocks SET salts = :zeros WHERE position = 3", zeros=bytes(48))
    found = forget(three_kinds, settings, 1)
    assert named(found) == [(2, 0), (4, 0), (4, 1), (5, 1)]
    assert (found.unread, found.beyond) == ((3,), ())
    assert [met.position for met in three_kinds.met.all()] == [3]
    again = forget(three_kinds, settings, 1)
    assert (again.event, again.unread) == (None, (3,))


def test_where_an_id_was_taken_away_nothing_is_erased(
    three_kinds: Ledger, settings: Settings
) -> None:
    change(three_kinds, "DELETE FROM row_ids WHERE position = 3 AND row = 2")
    size = three_kinds.size()
    with pytest.raises(LedgerDamaged, match="the id of row 2 of entry 3 is missing"):
        forget(three_kinds, settings, 1)
    assert three_kinds.size() == size
