"""Entries of many rows are read with their rows, which are found by id and erased one by one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app.clock import new_id
from app.database.engine import insert_rows
from app.ledger import reading
from app.ledger.known import recorded_rows
from app.ledger.past import Past
from app.ledger.payloads import delete_erased
from app.ledger.reading import read_rows
from app.ledger.store import Ledger
from app.ledger.tables import BLOCKS, ROW_IDS
from domain.blocks.ids import prediction_id, source_event_id
from domain.events.block_events import BLOCK_EVENTS, RowPlace
from domain.events.erasure import Erased
from domain.events.events import ObservationRecorded, PayloadErased, PredictionMade
from domain.events.expansion import expanded
from domain.events.unreadable import Unreadable
from tests.app.many_rows import observations, outcomes, predictions, put_many
from tests.app.planting import erasure, plant_event
from tests.app.proof.forger import change
from tests.ledger_events import observation, prediction, put
from tests.sql_steps import machine_steps

FIRST = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"


def test_an_entry_comes_back_with_its_rows(ledger: Ledger) -> None:
    written = put_many(ledger, predictions(1, 2, 3), FIRST)
    put(ledger, "observations-cars", observation())
    [entry] = ledger.read(0, 1)

    assert entry == written
    assert (entry.rows, entry.position) == (3, 1)
    assert ledger.entry(2).rows == 1
    made = [row.event for row in expanded([entry])]
    assert [row.identity for row in made if isinstance(row, PredictionMade)] == [
        f"car={car}" for car in (1, 2, 3)
    ]


def test_a_page_of_entries_holds_so_many_rows_and_one_entry_at_least(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS_MAX", 5)
    for _ in range(3):
        put_many(ledger, predictions(1, 2, 3))
    put_many(ledger, predictions(*range(7)))
    put(ledger, "observations-cars", observation())

    pages, after = [], 0
    while page := ledger.read(after, 10):
        pages.append([entry.rows for entry in page])
        after = page[-1].position

    assert pages == [[3], [3], [3], [7], [1]]


def test_rows_are_paged_one_by_one_also_inside_an_entry(ledger: Ledger) -> None:
    put_many(ledger, predictions(1, 2, 3))
    put(ledger, "observations-cars", observation())
    put_many(ledger, observations(4, 5))
    with ledger.snapshot() as connection:
        every = read_rows(connection, -1, None, 100)
        places = [(each.position, each.row) for each in every]
        assert places == [(0, 0), (1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1)]
        for limit in (1, 2, 3, 7):
            found: list[Any] = []
            after: tuple[int, int | None] = (-1, None)
            while page := read_rows(connection, *after, limit):
                assert len(page) <= limit
                found += page
                after = (page[-1].position, page[-1].row)
            assert found == every
        assert read_rows(connection, 1, None, 1) == [every[4]]
        assert read_rows(connection, 1, 2, 1) == [every[4]]
        assert read_rows(connection, 2, 0, 1) == [every[5]]
        assert read_rows(connection, 3, 1, 1) == []
        assert read_rows(connection, 99, 5, 1) == []


def test_each_row_is_found_by_its_id(ledger: Ledger) -> None:
    put_many(ledger, predictions(1, 2, 3), FIRST)
    put_many(ledger, observations(4, 5))
    [plain] = put(ledger, "predictions-cars", prediction("car=6"))
    every = [row for row in expanded(ledger.read()) if not isinstance(row.event, BLOCK_EVENTS)][1:]
    ids = [row.id for row in every]
    assert ids[:3] == [prediction_id(FIRST, row) for row in range(3)]
    assert ids[3:] == [source_event_id("/tests", each) for each in ("4-0", "5-1")] + [plain.id]

    strangers = [prediction_id(FIRST, 3), prediction_id(FIRST, -1), new_id(), "no id", "é" * 36]
    with ledger.snapshot() as connection:
        found = Past(connection).with_ids([*ids, *strangers])
    assert found == dict(zip(ids, every, strict=True))


def test_rows_are_found_by_id_in_as_many_steps_however_long_the_ledger_is(
    sqlite_ledger: Ledger,
) -> None:
    """Given ten times as many entries and blocks, the same ids of predictions and of labelled rows
    are found by as many steps of SQLite's machine."""
    ledger = sqlite_ledger

    def grow(entries: int) -> None:
        for n in range(entries // 100):
            put(ledger, "predictions-cars", *(prediction(f"car={n}-{at}") for at in range(99)))
            put_many(ledger, predictions(1, 2))

    made = put_many(ledger, predictions(*range(40)))
    seen = observations(*range(40))
    put_many(ledger, seen)
    assert seen.ids is not None
    ids = [*(prediction_id(made.id, row) for row in range(40)), *seen.ids]

    def steps() -> int:
        with ledger.connect() as connection:
            found = recorded_rows(connection, ids)
            assert len(found) == 80
            return machine_steps(connection, lambda: recorded_rows(connection, ids))

    grow(300)
    few = steps()
    grow(3_000)
    assert 0 < steps() <= 1.2 * few


def test_a_row_that_is_erased_leaves_its_id_and_the_others(ledger: Ledger) -> None:
    first = put_many(ledger, predictions(1, 2, 3), FIRST)
    second = put_many(ledger, observations(4, 5))
    before = expanded([first, second])
    gone = [(1, 1), (2, 0), (2, 1)]
    [erased] = put(
        ledger,
        "ledger",
        erasure(rows=tuple(RowPlace(position=at, row=row) for at, row in gone)),
    )
    assert isinstance(erased.event, PayloadErased)
    for _ in range(2):  # harmless when it is done
        with ledger.writing() as connection:
            delete_erased(connection, erased.event)

    after = expanded(ledger.read(0, 2))

    for was, now in zip(before, after, strict=True):
        assert now.id == was.id
        assert isinstance(now.event, Erased) is ((now.position, now.row) in gone)
        assert isinstance(now.event, Erased) or now == was
    with ledger.snapshot() as connection:
        stored = b"".join(connection.execute(select(BLOCKS.c.bytes)).scalars())
        assert b'"2"' not in stored
        assert b'"4"' not in stored
        assert b'"1"' in stored
        found = Past(connection).with_ids([prediction_id(FIRST, 1)])
        assert isinstance(found[prediction_id(FIRST, 1)].event, Erased)


def test_what_was_changed_in_a_block_is_passed_over_and_noted(ledger: Ledger) -> None:
    put_many(ledger, observations(4, 5))
    put_many(ledger, observations(6, 7))
    change(ledger, "UPDATE blocks SET salts = :zeros WHERE position = 1", zeros=bytes(32))
    change(ledger, "DELETE FROM blocks WHERE position = 2")
    entries = ledger.read(0)

    assert [type(entry.event) for entry in entries] == [Unreadable, Unreadable]
    assert [each.position for each in ledger.met.all()] == [1, 2]


def test_a_row_that_is_gone_without_an_erasure_is_damage(ledger: Ledger) -> None:
    entry = put_many(ledger, observations(4, 5))
    assert entry.rows_apart is not None
    left = entry.rows_apart.block.erased({1: source_event_id("/tests", "5-1")})
    put(ledger, "ledger", erasure(rows=(RowPlace(position=1, row=0),)))
    taken = "UPDATE blocks SET bytes = :lines, salts = :salts"
    change(ledger, taken, lines=left.content, salts=left.salts)
    [found] = ledger.read(0, 1)

    assert isinstance(found.event, Unreadable)
    assert found.event.why.startswith("row 1 of entry 1 is missing, and no entry says")
    put(ledger, "ledger", erasure(rows=(RowPlace(position=1, row=1),)))
    assert expanded(ledger.read(0, 1))[1].event == Erased(
        type="observations.observation-recorded", schema=2
    )


KEYS = {"blocks": "position", "row_ids": "id"}


@pytest.mark.parametrize("table", KEYS)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET position = position + 1",
        "DELETE FROM {table}",
        "INSERT INTO {table} SELECT * FROM {table}",
    ],
)
def test_the_database_refuses_to_change_or_remove_rows(
    ledger: Ledger, table: str, statement: str
) -> None:
    put_many(ledger, observations(4, 5))
    refused = "only grows" if "INSERT" not in statement else "only grows|duplicate key"
    with ledger.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=refused):
            connection.execute(text(statement.format(table=table)))


def test_sqlite_replaces_no_rows(sqlite_ledger: Ledger) -> None:
    put_many(sqlite_ledger, observations(4, 5))
    for table in KEYS:
        with sqlite_ledger.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="only grows"):
                connection.execute(text(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"))


ID = bytes(16)
BLOCK = (b"[1]\n[2]", None, None)
PLANTED: dict[str, Any] = {
    "rows of an entry to come": (BLOCKS, (9, 2, bytes(32), *BLOCK)),
    "rows of an entry of one": (BLOCKS, (0, 2, bytes(32), *BLOCK)),
    "an id in an entry to come": (ROW_IDS, (ID, 9, 0)),
    "an id in an entry of one": (ROW_IDS, (ID, 0, 0)),
    "an id behind the last row": (ROW_IDS, (ID, 1, 2)),
    "an id before the first row": (ROW_IDS, (ID, 1, -1)),
    "an id that is none": (ROW_IDS, (bytes(15), 1, 0)),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_a_row_that_speaks_of_what_is_not_there_yet_is_refused(
    ledger: Ledger, planted: str
) -> None:
    put_many(ledger, observations(4, 5))
    table, row = PLANTED[planted]
    with ledger.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="only grows with the entries"):
            insert_rows(connection, table, [row])


def test_other_rows_than_the_entry_says_are_refused(ledger: Ledger) -> None:
    put_many(ledger, observations(4, 5))
    change(ledger, "DELETE FROM blocks")
    for rows in ((1, 3, bytes(48)), (1, 2, bytes(48))):
        with ledger.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="only grows with the entries"):
                insert_rows(connection, BLOCKS, [(*rows, b"[1]\n[2]\n[3]", None, None)])


def test_a_block_is_removed_only_where_an_erasure_before_names_a_row_of_its_model(
    ledger: Ledger,
) -> None:
    put_many(ledger, observations(4, 5))
    put_many(ledger, predictions(4, 5, model="vans"))
    put_many(ledger, observations(6, 7))
    put(ledger, "ledger", erasure(rows=(RowPlace(position=1, row=0),)))
    for position in (2, 3):
        with ledger.engine.connect() as connection:
            plant_event(connection, erasure(rows=(RowPlace(position=2, row=0),)))  # of vans
            with pytest.raises(DBAPIError, match="blocks only grows"):
                connection.execute(text(f"DELETE FROM blocks WHERE position = {position}"))
    with ledger.engine.connect() as connection:
        connection.execute(text("DELETE FROM blocks WHERE position = 1"))


def test_outcomes_of_rows_label_the_predictions_they_name(ledger: Ledger) -> None:
    put_many(ledger, predictions(1, 2), FIRST)
    put_many(ledger, outcomes((FIRST, "car=1"), (prediction_id(FIRST, 1), "car=2")))
    [_, label] = expanded(ledger.read(1, 1))
    assert not isinstance(label.event, ObservationRecorded)
    assert label.id == source_event_id("/labels", prediction_id(FIRST, 1))
