"""Whatever somebody does to rows of many in one entry is found, by position and row.

He owns the database, and recomputes every hash that he can.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import func, select, update

from app.database.engine import insert_rows
from app.ledger.store import Ledger
from app.ledger.tables import BLOCKS
from app.projections.predictions import PREDICTIONS
from app.proof.verify.breaks import Break
from app.proof.verify.verification import verify
from domain.blocks.block import NO_SALT, Block, block_of, erased_line
from domain.blocks.ids import place_of, prediction_id, source_event_id
from domain.canonical import canonical_bytes
from domain.events.block_events import OutcomesRecorded, RowPlace
from tests.app.behind_the_service import writing_to
from tests.app.many_rows import (
    Many,
    envelope,
    observations,
    outcomes,
    predictions,
    put_many,
    written,
)
from tests.app.planting import erasure, plant, plant_event
from tests.app.proof.forged_rows import FIRST, ROWS, erase, fill, forge, found, looked_at, stored
from tests.app.proof.forger import guards_dropped


@pytest.fixture
def rows(ledger: Ledger) -> Ledger:
    """Entries of many rows at 1 to 3, and plain ones at 4 and 5; on both databases."""
    fill(ledger)
    return ledger


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Block], Block]:
    return lambda block: Block(block.salts, b"\n".join(change(block.lines)))


def salts(change: Callable[[bytes], bytes]) -> Callable[[Block], Block]:
    return lambda block: Block(change(block.salts), block.content)


def test_what_the_service_wrote_is_whole(rows: Ledger) -> None:
    whole = verify(rows, None)
    assert (whole.breaks, whole.erased_rows, whole.read_models > 0) == ((), 0, True)


@pytest.mark.parametrize("gone", [[(1, 0)], [(1, 2)], [(2, 1)], [(1, 0), (1, 1), (1, 2), (3, 1)]])
def test_what_was_erased_as_an_entry_says_is_whole_and_counted(
    rows: Ledger, gone: list[tuple[int, int]]
) -> None:
    erase(rows, *gone)
    whole = verify(rows, None)
    assert (whole.breaks, whole.erased_rows) == ((), len(gone))


def test_a_changed_row_of_a_read_model_is_named_by_the_entry_that_it_came_of(rows: Ledger) -> None:
    with writing_to(rows, PREDICTIONS) as connection:
        last = select(func.max(PREDICTIONS.c.place)).where(
            PREDICTIONS.c.place < place_of(2, 0), PREDICTIONS.c.place >= place_of(1, 0)
        )
        wrong = update(PREDICTIONS).where(PREDICTIONS.c.place == last.scalar_subquery())
        assert connection.execute(wrong.values(day=1)).rowcount == 1
    (differing,) = verify(rows, None).breaks
    assert (differing.position, PREDICTIONS.name in differing.thing) == (1, True)


EDITED: dict[str, tuple[Callable[[Block], Block], str]] = {
    "an edited line": (lines(lambda each: [each[0].replace(b"0.5", b"0.6"), *each[1:]]), "root"),
    "swapped lines": (lines(lambda each: [each[1], each[0], each[2]]), "root"),
    "a dropped line": (lines(lambda each: each[:-1]), "2 lines for 3 rows"),
    "a repeated line": (lines(lambda each: [each[0], each[0], each[2]]), "root"),
    "an added line": (lines(lambda each: [*each, each[0]]), "4 lines for 3 rows"),
    "an empty line": (lines(lambda each: [*each[:2], b""]), "a line that is no row in row 2"),
    "a newline in a line": (lines(lambda each: [each[0][:3], each[0][3:], each[2]]), "no row in"),
    "one line fewer, with its salt": (
        lambda block: Block(block.salts[:-16], b"\n".join(block.lines[:-1])),
        "32 bytes of salts for 3 rows",
    ),
    "swapped salts": (salts(lambda each: each[16:32] + each[:16] + each[32:]), "root"),
    "a dropped salt": (salts(lambda each: each[:-16]), "32 bytes of salts for 3 rows"),
    "an added salt": (salts(lambda each: each + bytes(16)), "64 bytes of salts for 3 rows"),
    "a line cut short": (
        lambda block: Block(block.salts[:-16] + NO_SALT, block.content[:-1]),
        "root",
    ),
}


@pytest.mark.parametrize("position", [1, 2])
@pytest.mark.parametrize("edited", EDITED)
def test_a_block_that_is_not_the_one_of_its_root_is_found(
    rows: Ledger, position: int, edited: str
) -> None:
    change, said = EDITED[edited]
    forge(rows, position, change)
    first = looked_at(rows).breaks[0]
    assert (first.position, first.thing) == (position, ROWS)
    assert said in first.found


def hidden(block: Block, row: int, id: str, *, salt: bytes = NO_SALT) -> Block:
    """The block with a leaf hash where a row stands, which keeps its root."""
    changed = block.lines
    changed[row] = erased_line(block.leaves()[row], id)
    at = 16 * row
    return Block(block.salts[:at] + salt + block.salts[at + 16 :], b"\n".join(changed))


def test_a_row_that_nobody_erased_may_not_be_missing(rows: Ledger) -> None:
    forge(rows, 1, lambda block: hidden(block, 1, prediction_id(FIRST, 1)))
    assert looked_at(rows).breaks == (
        Break(1, "row 1", "there, or an entry that says it was erased", "neither"),
    )


def test_nor_where_an_erasure_names_it_that_stands_before_it(rows: Ledger) -> None:
    event = erasure(rows=(RowPlace(position=7, row=0),))
    with rows.engine.connect() as connection:
        plant_event(connection, event)
        connection.commit()
    put_many(rows, observations(8, 9))
    forge(rows, 7, lambda block: hidden(block, 0, source_event_id("/tests", "8-0")))
    said = found(rows)
    assert (6, "what the erasure names") in said
    assert (7, "row 0") in said


def test_an_erased_row_may_not_come_back(rows: Ledger) -> None:
    with rows.snapshot() as connection:
        before = stored(connection, 2)
    erase(rows, (2, 1))
    forge(rows, 2, lambda _: before)
    assert looked_at(rows).breaks == (Break(2, "row 1", "erased, as an entry says", "there"),)


def test_the_salt_of_an_erased_row_may_not_stay(rows: Ledger) -> None:
    with rows.snapshot() as connection:
        before = stored(connection, 2)
    erase(rows, (2, 1))
    forge(rows, 2, lambda block: Block(before.salts, block.content))
    assert "a salt where row 1 is erased" in looked_at(rows).breaks[0].found


@pytest.mark.parametrize("position", [1, 2])
def test_an_erased_row_keeps_its_id(rows: Ledger, position: int) -> None:
    erase(rows, (position, 1))
    forge(rows, position, lambda block: Block(block.salts, with_other_id(block)))
    [first, *_] = looked_at(rows).breaks
    assert first.position == position
    assert "id of row 1" in first.thing


def with_other_id(block: Block) -> bytes:
    line = block.lines[1]
    return block.content.replace(line, line[:-13] + b'ffffffffffff"')


def test_blocks_may_not_change_places(rows: Ledger) -> None:
    put_many(rows, predictions(1, 2, 3))
    with rows.snapshot() as connection:
        first, second = stored(connection, 1), stored(connection, 6)
    forge(rows, 1, lambda _: second)
    forge(rows, 6, lambda _: first)
    assert found(rows) == [(1, ROWS), (6, ROWS)]


def test_an_entry_of_many_rows_has_them(rows: Ledger) -> None:
    with guards_dropped(rows) as connection:
        connection.execute(BLOCKS.delete().where(BLOCKS.c.position == 1))
    assert looked_at(rows).breaks == (Break(1, ROWS, "rows that its root commits to", "none"),)


@pytest.mark.parametrize("position", [0, 4, 99, -1])
def test_no_rows_stand_where_no_entry_commits_to_them(rows: Ledger, position: int) -> None:
    with guards_dropped(rows) as connection:
        block = stored(connection, 1)
        insert_rows(connection, BLOCKS, [(position, 3, block.salts, block.content, None, None)])
    expected = Break(position, ROWS, "none: the entry commits to none", "some")
    assert expected in looked_at(rows).breaks


def test_the_number_beside_the_rows_is_theirs(rows: Ledger) -> None:
    with guards_dropped(rows) as connection:
        connection.execute(update(BLOCKS).where(BLOCKS.c.position == 1).values(rows=2))
    assert looked_at(rows).breaks == (Break(1, "the number of rows beside them", "3", "2"),)


def planted(ledger: Ledger, event: Any, many: Many, block: Block) -> None:
    """An entry that the service would not write, with every hash recomputed."""
    content = envelope(event, many.stream, FIRST.replace("fffe", "8000"))
    with guards_dropped(ledger) as connection:
        plant(connection, content, stream=many.stream, type=event.type)
        insert_rows(
            connection, BLOCKS, [(6, len(block.lines), block.salts, block.content, None, None)]
        )


def rooted(many: Many, block: Block, **said: Any) -> Any:
    usual: dict[str, Any] = {
        "rows": len(block.lines),
        "rows_root": block.root().hex(),
        "occurred_from": min(many.times),
        "occurred_until": max(many.times),
    }
    return structs.replace(many.event, **(usual | said))


MALFORMED: dict[str, tuple[list[bytes], dict[str, Any], tuple[str, str]]] = {
    "another writing of a number": (
        [b'[7.5,[],"1",5e-1,1976]', b'[7.5,[],"2",0.5,1976]'],
        {},
        ("row 0", "another writing of its values than RFC 8785"),
    ),
    "a whole number as a float": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.0,[],"2",0.5,1976]'],
        {},
        ("row 1", "another writing of its values than RFC 8785"),
    ),
    "a value too many": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1976,1]'],
        {},
        ("row 1", "6 values, not 5"),
    ),
    "two names of one column": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1976]'],
        {"columns": ("car", "car", "year")},
        ("the entry", "columns that do not ascend"),
    ),
    "an identity that is no column": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1976]'],
        {"identity": ("van",)},
        ("the entry", "no column 'van', which it names"),
    ),
    "an earlier time than any row": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1976]'],
        {"occurred_from": "1975-07-01T00:00:00.000000Z"},
        ("the times of its rows", "1976-07-01T00:00:00.000000Z to 1976-07-01T00:00:00.000000Z"),
    ),
    "a later row than it says": (
        [b'[7.5,[],"1",0.5,1976]', b'[7.5,[],"2",0.5,1977]'],
        {},
        ("the times of its rows", "1976-07-01T00:00:00.000000Z to 1977-07-01T00:00:00.000000Z"),
    ),
}


@pytest.mark.parametrize("malformed", MALFORMED)
def test_rows_that_nobody_can_have_written_are_found_under_their_own_root(
    rows: Ledger, malformed: str
) -> None:
    written_lines, said, (thing, told) = MALFORMED[malformed]
    many = predictions(1, 2)
    block = block_of(written_lines, bytes(range(32)))
    planted(rows, rooted(many, block, **said), many, block)
    first = looked_at(rows).breaks[0]
    assert (first.position, first.thing) == (6, thing)
    assert told in first.found


def test_where_a_row_is_erased_the_times_bound_those_that_are_left(rows: Ledger) -> None:
    early, late = predictions(1, year=1970), predictions(2, year=1990)
    many = replace(early, values=[*early.values, *late.values], times=[*early.times, *late.times])
    put_many(rows, many)
    erase(rows, (6, 0))
    assert looked_at(rows).breaks == ()


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (0, {"occurred_until": "1980-07-01T00:00:00.000000Z"}),  # 1990 is left
        (1, {"occurred_from": "1980-07-01T00:00:00.000000Z"}),  # 1970 is left
    ],
)
def test_times_that_do_not_bound_the_rows_that_are_left_are_found(
    rows: Ledger, gone: int, said: dict[str, str]
) -> None:
    early, late = predictions(1, year=1970), predictions(2, year=1990)
    many = replace(early, values=[*early.values, *late.values], times=[*early.times, *late.times])
    block = written(many, FIRST)[1]
    planted(rows, rooted(many, block, **said), many, block)
    erase(rows, (6, gone))
    assert (6, "the times of its rows") in [
        (each.position, each.thing) for each in looked_at(rows).breaks
    ], looked_at(rows).breaks


def test_rows_whose_data_stands_apart_twice_are_unreadable(rows: Ledger) -> None:
    many = outcomes((FIRST, "car=1"), (FIRST, "car=2"), source="/again")
    content, _ = written(many)
    document = json.loads(content)
    document["data_commit"] = "0" * 64
    del document["data"]
    with guards_dropped(rows) as connection:
        plant(
            connection,
            canonical_bytes(document),
            stream="observations-cars",
            type=OutcomesRecorded.type,
        )
    assert found(rows)[0] == (6, "the entry")
