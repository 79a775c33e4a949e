"""An erasure that somebody plants reaches no more than one of ours, on both databases.

The guards of the tables are asked for exactly what it names, so that each is tried by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.database.engine import insert_rows
from app.ledger.erasures import (
    believed_erasures,
    erased_artefacts,
    positions_gone,
    refuse_beyond_reach,
    rows_gone,
)
from app.ledger.store import Ledger
from app.ledger.tables import BLOCKS, PAYLOADS
from app.proof.checkpoints import Checkpoints
from app.proof.verify.verification import verify
from app.settings import Settings
from domain.canonical import sha256_hex
from domain.errors import LedgerDamaged, RequestInvalid
from domain.events.block_events import RowPlace
from domain.events.cycle_events import DataMerged
from domain.events.events import Event, PayloadErased
from tests.app.many_rows import observations, predictions, put_many
from tests.app.planting import erasure, plant_event
from tests.app.proof.signed_ledger import Kept, checked, exported
from tests.ledger_events import artefact, observation, prediction, put, started
from tests.plausible import an

OF_NOBODY: Final = b"of nobody"
OF_CARS: Final = b"of cars"
OF_VANS: Final = b"of vans"
OTHER_SHA: Final = sha256_hex(OF_NOBODY)
CARS_SHA: Final = sha256_hex(OF_CARS)
VANS_SHA: Final = sha256_hex(OF_VANS)
CARS_MANY, VANS_MANY, NEXT = 4, 5, 10
ROWS: Final = {CARS_MANY: 3, VANS_MANY: 2}
ENTRY: Final = "DELETE FROM payloads WHERE position = {}"
BLOCK: Final = "DELETE FROM blocks WHERE position = {}"
ARTEFACT: Final = "DELETE FROM artefacts WHERE sha256 = '{}'"


@pytest.fixture
def people(ledger: Ledger) -> Ledger:
    """Rows of two models whose data stands apart: entries 1 and 2 of cars and 3 of vans, 4 and 5
    of many; and a cycle of each that froze something: entries 6 to 9."""
    put(ledger, "observations-cars", observation("car=1"), personal=True)
    put(ledger, "predictions-cars", prediction("car=2"), personal=True)
    put(ledger, "observations-vans", observation("van=1", model="vans"), personal=True)
    put_many(ledger, observations(1, 2, 3))
    put_many(ledger, predictions(1, 2, model="vans"))
    put(ledger, "cycle-vans-1", started(1, model="vans"))
    put(ledger, "cycle-vans-1", froze(VANS_SHA), artefacts=[artefact(OF_VANS, "identities")])
    put(ledger, "cycle-cars-1", started(1))
    put(ledger, "cycle-cars-1", froze(CARS_SHA), artefacts=[artefact(OF_CARS, "identities")])
    return ledger


def froze(sha256: str) -> Event:
    return an(DataMerged, identities_sha256=sha256)


def of_row(position: int, row: int) -> PayloadErased:
    return erasure(rows=(RowPlace(position=position, row=row),))


# What is named -> the erasure, and what would remove just that.
BEYOND: dict[str, tuple[PayloadErased, str]] = {
    "a later entry": (erasure(entries=(11,)), ENTRY.format(11)),
    "itself": (erasure(entries=(NEXT,)), ENTRY.format(NEXT)),
    "a negative position": (erasure(entries=(-1,)), ENTRY.format(-1)),
    "another model's row": (erasure(entries=(3,)), ENTRY.format(3)),
    "what is no row": (erasure(entries=(0,)), ENTRY.format(0)),
    "a row of another model's many": (of_row(VANS_MANY, 0), BLOCK.format(VANS_MANY)),
    "a row of a later entry": (of_row(11, 0), BLOCK.format(11)),
    "a row of what is no row": (of_row(0, 0), BLOCK.format(0)),
    "a row of an entry that has none": (of_row(1, 0), ENTRY.format(1)),
    # The guard lets a block go for any row of it (0010), and does not count them: `verify` does.
    "a row beyond the others": (of_row(CARS_MANY, ROWS[CARS_MANY]), ""),
    "a row before the first": (of_row(CARS_MANY, -1), ""),
    "an artefact of nobody": (erasure(artefacts=(OTHER_SHA,)), ARTEFACT.format(OTHER_SHA)),
    "what another model froze": (erasure(artefacts=(VANS_SHA,)), ARTEFACT.format(VANS_SHA)),
    "a cycle that never was": (erasure(cycles=("cars-7",)), ""),
    "another model's cycle": (erasure(cycles=("vans-1",)), ""),
}


@pytest.mark.parametrize("named", BEYOND)
def test_an_erasure_of_what_it_may_not_reach_is_not_appended(people: Ledger, named: str) -> None:
    before = people.size()
    with pytest.raises(RequestInvalid, match="an erasure may not name"):
        put(people, "ledger", BEYOND[named][0])
    assert people.size() == before


def test_an_erasure_of_an_entry_that_holds_its_data_itself_is_not_appended(people: Ledger) -> None:
    plain = put(people, "observations-cars", observation("car=3"))[-1].position
    for each in (plain, CARS_MANY):
        said = f"may not name entry {each}, whose data does not stand apart from it. Erase with"
        with pytest.raises(RequestInvalid, match=said):
            put(people, "ledger", erasure(entries=(1, each)))
    put(people, "ledger", erasure(entries=(1, 2)))


@pytest.mark.parametrize("named", BEYOND)
def test_a_planted_erasure_erases_nothing_and_both_verifiers_name_it(
    people: Ledger, settings: Settings, tmp_path: Path, named: str
) -> None:
    with people.engine.begin() as connection:
        assert plant_event(connection, BEYOND[named][0]) == NEXT
    checkpoints = Checkpoints(people, settings)
    people.catch_up()
    note = checkpoints.sign().note
    key = checkpoints.signer.key
    checkpoints.close()
    assert_nothing_is_gone(people)
    with pytest.raises(LedgerDamaged, match=f"the erasure at entry {NEXT} names"):
        with people.snapshot() as connection:
            refuse_beyond_reach(connection)
    (only,) = verify(people, key, retained=[note], read_models=False).breaks
    assert (only.position, only.thing) == (NEXT, "what the erasure names")
    kept = Kept(key, note, b"")
    code, said = checked(exported(people, kept, tmp_path / "bundle"), kept, tmp_path, ["note"])
    assert (code, f"BROKEN: position {NEXT}: the erasure names" in said) == (1, True), said


@pytest.mark.parametrize("named", [named for named, (_, statement) in BEYOND.items() if statement])
def test_the_guards_let_nothing_go_that_a_planted_erasure_may_not_name(
    people: Ledger, named: str
) -> None:
    event, statement = BEYOND[named]
    with people.engine.begin() as connection:
        plant_event(connection, event)
    with people.engine.connect() as connection:
        lay_what_is_missing(connection, event)
        assert_refused(connection, statement)


def lay_what_is_missing(connection: Connection, event: PayloadErased) -> None:
    """Whatever way it came there: where nothing stands, there is nothing to guard."""
    for table in ("payloads", "blocks"):
        guard = f"{table}_refuse_unfounded"
        lift = f"DROP TRIGGER {guard}"
        if connection.dialect.name != "sqlite":
            lift = f"ALTER TABLE {table} DISABLE TRIGGER {guard}"
        connection.execute(text(lift))
    for position in event.entries:
        if not stands(connection, "payloads", f"position = {position}"):
            data = (position, "cars", "car=9", bytes(32), b"{}", None)
            insert_rows(connection, PAYLOADS, [data])
    for place in event.rows:
        if not stands(connection, "blocks", f"position = {place.position}"):
            lines = (place.position, 1, bytes(16), b"[]\n", None, None)
            insert_rows(connection, BLOCKS, [lines])
    for sha256 in event.artefacts:
        if not stands(connection, "artefacts", f"sha256 = '{sha256}'"):
            laid = "INSERT INTO artefacts VALUES (:sha, 'reference', :content)"
            connection.execute(text(laid), {"sha": sha256, "content": OF_NOBODY})


def stands(connection: Connection, table: str, where: str) -> bool:
    query = f"SELECT count(*) FROM {table} WHERE {where}"
    return bool(connection.execute(text(query)).scalar_one())


def assert_refused(connection: Connection, statement: str) -> None:
    """It would remove one row, and is refused for that row."""
    table, _, where = statement.removeprefix("DELETE FROM ").partition(" WHERE ")
    assert stands(connection, table, where), statement
    with pytest.raises(DBAPIError, match=f"{table} only grows: nothing in it is removed but what"):
        connection.execute(text(statement))


def assert_nothing_is_gone(ledger: Ledger) -> None:
    with ledger.snapshot() as connection:
        believed = [
            (each.entries, each.rows, each.artefacts) for each in believed_erasures(connection)
        ]
        assert believed == [((), (), ())]
        assert positions_gone(connection) == frozenset()
        gone = rows_gone(connection)
        stand = {(at, row) for at, rows in ROWS.items() for row in range(rows)}
        assert [row for row in stand if row[1] in gone.get(row[0], ())] == []
        assert erased_artefacts(connection) == frozenset()


def test_what_is_added_where_an_earlier_erasure_named_it_is_not_let_go(people: Ledger) -> None:
    with people.engine.begin() as connection:
        plant_event(
            connection,
            erasure(entries=(11,), rows=(RowPlace(position=12, row=0),), artefacts=(OTHER_SHA,)),
        )
    people.catch_up()
    (entry,) = put(people, "observations-cars", observation("car=9"), personal=True)
    many = put_many(people, observations(7, 8))
    put(people, "cycle-cars-1", froze(OTHER_SHA), artefacts=[artefact(OF_NOBODY, "identities")])
    assert (entry.position, many.position) == (11, 12)
    for statement in (ENTRY.format(11), BLOCK.format(12), ARTEFACT.format(OTHER_SHA)):
        with people.engine.connect() as connection:
            assert_refused(connection, statement)
    assert_nothing_is_gone(people)
    assert people.entry(11).event == entry.event


def test_a_plan_is_never_let_go_whatever_names_it(people: Ledger) -> None:
    put(people, "cycle-cars-1", froze(OTHER_SHA), artefacts=[artefact(OF_NOBODY, "plan")])
    put(people, "ledger", erasure(artefacts=(OTHER_SHA,)))
    with people.engine.connect() as connection:
        assert_refused(connection, ARTEFACT.format(OTHER_SHA))


def test_an_erasure_that_the_head_has_not_taken_up_lets_nothing_go(people: Ledger) -> None:
    named = erasure(
        entries=(1,), rows=(RowPlace(position=CARS_MANY, row=0),), artefacts=(CARS_SHA,)
    )
    for statement in (ENTRY.format(1), BLOCK.format(CARS_MANY), ARTEFACT.format(CARS_SHA)):
        with people.engine.connect() as connection:
            plant_event(connection, named, taken_up=False)
            assert_refused(connection, statement)


def test_what_may_be_erased_is_let_go(people: Ledger) -> None:
    places = (RowPlace(position=CARS_MANY, row=0),)
    put(people, "ledger", erasure(entries=(1, 2), rows=places, artefacts=(CARS_SHA,)))
    with people.engine.begin() as connection:
        connection.execute(text("DELETE FROM payloads WHERE position IN (1, 2)"))
        for statement in (BLOCK.format(CARS_MANY), ARTEFACT.format(CARS_SHA)):
            connection.execute(text(statement))
    with people.snapshot() as connection:
        assert positions_gone(connection) == {1, 2}
        assert rows_gone(connection) == {CARS_MANY: {0}}
        assert erased_artefacts(connection) == {CARS_SHA}
