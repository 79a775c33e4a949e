"""A row that cannot be right, wherever somebody put it: damage in plain words, and no door shut.

Guards refuse most of them; these stand where the guards were lifted, or came too late.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.cause import Cause
from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger.damage import record_damage, refuse_on_damage
from app.ledger.known_damage import known_damage
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend
from app.ledger.tables import ENTRIES
from app.ledger.tree import read_head
from app.projections.opening import open_ledger
from app.proof.repair import plan_repair, repair
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.canonical import sha256_hex
from domain.errors import LedgerDamaged
from domain.events.events import CandidatePromoted, RowsRefused
from domain.events.unreadable import Unreadable
from tests.app.planting import plant, planted_bytes
from tests.app.proof.forger import change, edited
from tests.ledger_events import TIME, put, refused
from tests.plausible import an

HIGHEST = 2**63 - 1


def copy_of_last(ledger: Ledger, **columns: Any) -> None:
    """Add a copy of the last entry that says other things, as who may only add rows."""
    with ledger.engine.begin() as connection:
        query = text("SELECT * FROM entries ORDER BY position DESC LIMIT 1")
        row = dict(connection.execute(query).one()._mapping) | {"id": new_id()} | columns
        insert_rows(connection, ENTRIES, [tuple(row[each.name] for each in ENTRIES.columns)])


def copied_past_the_guards(ledger: Ledger, **columns: Any) -> None:
    """As `copy_of_last`, where no guard stands."""
    names = [column.name for column in ENTRIES.columns]
    taken = ", ".join(f":{name}" if name in columns else f'"{name}"' for name in names)
    change(
        ledger,
        f"INSERT INTO entries SELECT {taken} FROM entries ORDER BY position DESC LIMIT 1",
        **columns,
    )


@pytest.fixture
def some(ledger: Ledger) -> Ledger:
    """Entries 1 to 6 are refusals."""
    put(ledger, "observations-cars", *[refused(n + 1) for n in range(6)])
    return ledger


@pytest.mark.parametrize(
    "columns",
    [
        {"position": -5, "stream": "ledger", "stream_version": HIGHEST},
        {"position": 7, "stream": "ledger", "stream_version": HIGHEST},
        {"position": 7, "stream_version": -1},
        {"position": 5_000_007, "stream_version": 6},
    ],
    ids=str,
)
def test_an_entry_out_of_its_place_is_refused(some: Ledger, columns: dict[str, Any]) -> None:
    with pytest.raises(DBAPIError, match="entries only grows"):
        copy_of_last(some, **columns)


@pytest.mark.parametrize("stream", ["ledger", "observations-cars"])
def test_a_version_that_cannot_be_keeps_nobody_from_writing_or_saying_so(
    some: Ledger, settings: Settings, stream: str
) -> None:
    copied_past_the_guards(some, position=-5, id=new_id(), stream=stream, stream_version=HIGHEST)
    (content,) = some.stored_bytes(3, 3)
    statement = "UPDATE entries SET bytes = :content WHERE position = 3"
    change(some, statement, content=edited(content, rows=99))

    put(some, "observations-cars", refused(8))
    assert isinstance(some.entry(3).event, Unreadable)
    record_damage(some, Cause.unauthenticated(new_id()))

    elsewhere = open_ledger(settings)
    with elsewhere.snapshot() as connection:
        assert 3 in [each.found.position for each in known_damage(connection)]
        with pytest.raises(LedgerDamaged, match="ledger entry 3"):
            refuse_on_damage(elsewhere)
    elsewhere.close()


def test_text_for_a_version_keeps_nobody_from_writing(sqlite_ledger: Ledger) -> None:
    put(sqlite_ledger, "observations-cars", refused(1))
    copied_past_the_guards(sqlite_ledger, position=-5, id=new_id(), stream_version="zzz")
    for version in (1, 2, 3):
        (recorded,) = put(sqlite_ledger, "observations-cars", refused(2))
        assert recorded.stream_version == version
    assert sqlite_ledger.read_stream("observations-cars").version == 3


def test_a_version_below_the_first_keeps_nobody_from_beginning_a_stream(ledger: Ledger) -> None:
    put(ledger, "observations-vans", refused(1))
    copied_past_the_guards(
        ledger, position=-5, id=new_id(), stream="observations-cars", stream_version=-7
    )
    (recorded,) = put(ledger, "observations-cars", refused(2))
    assert recorded.stream_version == 0


def test_a_version_that_is_taken_before_the_first_entry_is_given_back_by_a_repair(
    some: Ledger,
) -> None:
    copied_past_the_guards(some, position=-5, id=new_id(), stream_version=7)
    put(some, "observations-cars", refused(7))
    with pytest.raises(LedgerDamaged, match="where an append puts its own"):
        put(some, "observations-cars", refused(8))
    assert plan_repair(some, None, None).steps == (
        "entry -5 stands before the first one, where no tree has any, in the way of version 7 of "
        "the stream 'observations-cars'; it is removed",
    )
    repair(some, None, None)
    (recorded,) = put(some, "observations-cars", refused(8))
    assert recorded.stream_version == 7
    assert verify(some, None).breaks == ()
    with pytest.raises(DBAPIError, match="entries only grows"), some.engine.connect() as connection:
        connection.execute(text("DELETE FROM entries"))


def test_an_entry_behind_a_gap_wider_than_a_page_is_damage(some: Ledger) -> None:
    copied_past_the_guards(some, position=5_000_007, id=new_id(), stream_version=6)
    with pytest.raises(LedgerDamaged, match="the ledger has no entry 7, and others behind it"):
        some.catch_up()


PLAN = Artefact(sha256_hex(b"a plan"), "plan", b"a plan")


def planted(ledger: Ledger, kind: str, content: bytes) -> None:
    """Put a row where the artefact `PLAN` will stand, past the guards."""
    taken = "INSERT INTO artefacts VALUES (:sha256, :kind, :content)"
    with ledger.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE artefacts DROP CONSTRAINT ck_artefacts_sha256"))
        connection.execute(text(taken), {"sha256": PLAN.sha256, "kind": kind, "content": content})


def promoted(ledger: Ledger) -> None:
    event = an(CandidatePromoted, model="cars", model_version="cars/1", plan_sha256=PLAN.sha256)
    new = NewEvent(event=event, id=new_id(), occurred_at=TIME)
    put_to = [StreamAppend("model-cars", (new,), None)]
    ledger.append(put_to, Cause.unauthenticated(new_id()), artefacts=[PLAN])


@pytest.mark.parametrize(("kind", "content"), [("plan", b"garbage"), ("reference", b"a plan")])
def test_a_planted_artefact_is_not_adopted_and_a_repair_makes_room_for_the_right_one(
    some: Ledger, kind: str, content: bytes
) -> None:
    planted(some, kind, content)
    with pytest.raises(LedgerDamaged, match=f"artefact {PLAN.sha256} stands in the ledger"):
        promoted(some)
    assert some.size() == 7

    done = repair(some, None, None)
    assert [PLAN.sha256 in step for step in done.steps] == [True]
    promoted(some)
    assert some.artefact(PLAN.sha256) == PLAN.content
    assert repair(some, None, None).steps == ()


@pytest.mark.parametrize(("kind", "content"), [("plan", b"garbage"), ("reference", b"a plan")])
def test_an_entry_that_holds_its_digest_anywhere_keeps_no_planted_artefact(
    some: Ledger, kind: str, content: bytes
) -> None:
    planted(some, kind, content)
    holds = planted_bytes(refused(), "observations-cars", correlation_id=PLAN.sha256)
    with some.engine.begin() as connection:
        plant(connection, holds, stream="observations-cars", type=RowsRefused.type)
    (step,) = repair(some, None, None).steps
    assert "is named by no entry" in step
    promoted(some)
    assert some.artefact(PLAN.sha256) == PLAN.content


def breaks_of_the_plan(ledger: Ledger) -> list[str]:
    said = [each.sentence() for each in verify(ledger, None).breaks]
    return [each for each in said if PLAN.sha256 in each]


def test_an_artefact_that_an_entry_names_gets_its_kind_back(some: Ledger) -> None:
    promoted(some)
    change(some, "UPDATE artefacts SET kind = 'reference'")
    assert breaks_of_the_plan(some) != []
    (step,) = repair(some, None, None).steps
    assert step.endswith("is called 'reference', and entries name it as 'plan'; that it is called")
    assert breaks_of_the_plan(some) == []
    promoted(some)


def test_other_bytes_under_a_digest_that_an_entry_names_make_room_for_the_right_ones(
    some: Ledger,
) -> None:
    promoted(some)
    change(some, "UPDATE artefacts SET bytes = :content", content=b"garbage")
    (step,) = repair(some, None, None).steps
    assert "is other bytes than its digest says" in step
    promoted(some)
    assert some.artefact(PLAN.sha256) == PLAN.content
    assert breaks_of_the_plan(some) == []


def test_the_database_takes_no_artefact_that_it_can_tell_is_none(ledger: Ledger) -> None:
    if ledger.engine.dialect.name == "sqlite":
        statement, refusal = "INSERT INTO artefacts VALUES ('a', 'plan', 7)", "artefacts takes text"
    else:
        statement, refusal = "INSERT INTO artefacts VALUES ('a', 'plan', 'b')", "ck_artefacts"
    with ledger.engine.connect() as connection, pytest.raises(DBAPIError, match=refusal):
        connection.execute(text(statement))


WRONG_HEADS = {
    "a size that is text": "UPDATE ledger_head SET size = 'zzz'",
    "a size that is no whole number": "UPDATE ledger_head SET size = 7.5",
    "a right edge that is a number": "UPDATE ledger_head SET frontier = 7",
    "a right edge that is text": "UPDATE ledger_head SET frontier = 'zzz'",
}


@pytest.mark.parametrize("statement", WRONG_HEADS.values(), ids=WRONG_HEADS)
def test_a_head_of_another_type_is_refused_and_where_it_stands_it_is_damage(
    sqlite_ledger: Ledger, statement: str
) -> None:
    with (
        sqlite_ledger.engine.connect() as connection,
        pytest.raises(DBAPIError, match="ledger_head"),
    ):
        connection.execute(text(statement))
    change(sqlite_ledger, statement)
    with sqlite_ledger.engine.connect() as connection:
        with pytest.raises(LedgerDamaged, match="the head of the ledger's tree"):
            read_head(connection)
