"""No id stands for two rows, and each for the row that has it: by position, whoever forged it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import insert, update

from app.database.engine import insert_rows
from app.ledger.store import Connection, Ledger
from app.ledger.tables import BLOCKS, ROW_IDS
from domain.blocks.ids import prediction_id
from domain.events.block_events import PredictionsMade
from tests.app.many_rows import insert_many, observations, predictions, written
from tests.app.planting import plant, planted_bytes
from tests.app.proof.forged_rows import FIRST, OTHER, fill, found, looked_at
from tests.app.proof.forger import guards_dropped
from tests.ledger_events import observation, prediction


@pytest.fixture
def rows(ledger: Ledger) -> Ledger:
    """Entries of many rows at 1 to 3, and plain ones at 4 and 5; on both databases."""
    fill(ledger)
    return ledger


IDS: dict[str, Callable[[Connection], object]] = {
    "one is missing": lambda c: c.execute(ROW_IDS.delete().where(ROW_IDS.c.row == 1)),
    "one stands for another row": lambda c: c.execute(
        update(ROW_IDS).where(ROW_IDS.c.position == 2, ROW_IDS.c.row == 1).values(row=9)
    ),
    "one stands for another entry": lambda c: c.execute(
        update(ROW_IDS).where(ROW_IDS.c.position == 2, ROW_IDS.c.row == 1).values(position=3)
    ),
    "one is another": lambda c: c.execute(
        update(ROW_IDS).where(ROW_IDS.c.position == 2, ROW_IDS.c.row == 1).values(id=bytes(16))
    ),
    "there is one more": lambda c: c.execute(
        insert(ROW_IDS).values(id=bytes(16), position=2, row=7)
    ),
    "a prediction has one": lambda c: c.execute(
        insert(ROW_IDS).values(id=bytes(16), position=1, row=1)
    ),
}


@pytest.mark.parametrize("forged", IDS)
def test_ids_stand_for_the_rows_that_have_them_and_for_no_others(rows: Ledger, forged: str) -> None:
    with guards_dropped(rows) as connection:
        IDS[forged](connection)
    told = looked_at(rows).breaks
    assert told
    assert "id" in told[0].thing


def test_an_id_that_another_entry_uses_is_found(rows: Ledger) -> None:
    [_, second, _] = observations(4, 5, 6).ids or ()
    content, block = written(predictions(1, 2), prediction_id(FIRST, 2))
    with guards_dropped(rows) as connection:  # no read model would take them
        for stream, event, id in (
            ("predictions-cars", prediction("car=9"), prediction_id(FIRST, 1)),
            ("predictions-cars", None, ""),
            ("observations-cars", observation("car=9"), second),
        ):
            if event is None:
                plant(connection, content, stream=stream, type=PredictionsMade.type)
            else:
                said = planted_bytes(event, stream, id=id)
                plant(connection, said, stream=stream, type=event.type, schema=event.schema)
        insert_rows(connection, BLOCKS, [(7, 2, block.salts, block.content, None, None)])
    breaks = {(each.position, each.thing, each.found) for each in looked_at(rows).breaks}
    thing = "the ids of its rows"
    assert breaks == {
        (1, thing, "one that entry 6 uses"),
        (7, thing, "one that entry 1 uses"),
        (2, thing, "one that entry 8 uses"),
    }


def test_an_id_of_a_prediction_that_a_row_of_observations_uses_is_found(rows: Ledger) -> None:
    content, block = written(replace(observations(8, 9), ids=None), OTHER)
    with rows.writing() as connection:
        insert_many(rows, connection, content, block, [OTHER])
    assert (1, "the ids of its rows") in found(rows)


def test_two_rows_of_one_entry_may_not_have_one_id(rows: Ledger) -> None:
    many = observations(8, 9)
    (first, other) = many.values
    many = replace(many, values=[first, (first[0], *other[1:])])
    content, block = written(many)
    with rows.writing() as connection:
        insert_many(rows, connection, content, block, (many.ids or ())[:1])
    [told] = looked_at(rows).breaks
    assert (told.position, told.thing) == (6, "what the id of row 1 stands for")


def test_an_entry_has_the_id_of_its_first_row(rows: Ledger) -> None:
    many = observations(8, 9)
    content, block = written(replace(many, ids=(many.ids or ())[::-1]))
    with rows.writing() as connection:
        insert_many(rows, connection, content, block, many.ids)
    assert (6, "the id") in found(rows)
