"""Ids of rows: those of predictions follow from the first, others from what the client said."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.blocks.ids import (
    ROWS_MAX,
    bytes_of_ids,
    entries_around,
    identities_of,
    identity_of,
    keyed_event_id,
    place_of,
    position_of,
    positions_of,
    prediction_id,
    prediction_ids,
    row_of,
    row_of_prediction,
    rows_at_places,
    source_event_id,
    source_event_ids,
)

FIRST: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3dfffe"
IDS = st.uuids().map(str)
ROWS = st.integers(2, ROWS_MAX)


@given(IDS, ROWS, st.data())
def test_a_prediction_is_found_again_by_the_id_of_its_row(
    first: str, rows: int, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, rows - 1))
    id = prediction_id(first, row)

    assert str(UUID(id)) == id
    assert row_of_prediction(id, first, rows) == row
    least, greatest = entries_around(id)
    assert least <= first <= greatest


@given(IDS, ROWS)
def test_the_first_row_has_the_entrys_own_id_and_no_two_share_one(first: str, rows: int) -> None:
    ids = prediction_ids(first, rows)
    assert ids[0] == first
    assert len(set(ids)) == rows
    assert ids[-1] == prediction_id(first, rows - 1)


def test_an_id_behind_the_last_row_or_of_another_block_is_none_of_its_rows() -> None:
    assert row_of_prediction(prediction_id(FIRST, 3), FIRST, 3) is None
    assert row_of_prediction(prediction_id(FIRST, -1), FIRST, ROWS_MAX) is None
    assert row_of_prediction("1" + FIRST[1:], FIRST, 3) is None
    assert row_of_prediction(FIRST[:-4] + "ff_e", FIRST, ROWS_MAX) is None


@given(st.text(), st.text())
def test_the_id_of_what_a_client_sends_is_the_uuid5_of_its_name(source: str, id: str) -> None:
    ours = UUID("6f0ee2a5-35c7-5d4c-8f1c-0f6d5a5b7f3e")
    assert source_event_id(source, id) == str(uuid5(uuid5(ours, f"source {source}"), id))


@given(st.text(), st.lists(st.text(), max_size=4))
def test_many_things_that_a_client_sends_have_the_ids_that_each_has(
    source: str, ids: list[str]
) -> None:
    assert source_event_ids(source, ids) == [source_event_id(source, each) for each in ids]


@given(st.lists(st.uuids(), max_size=4))
def test_the_bytes_of_ids_stand_one_behind_the_other(ids: list[UUID]) -> None:
    assert bytes_of_ids([*map(str, ids)]) == b"".join(each.bytes for each in ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        FIRST[:-1],
        FIRST + "0",
        FIRST.replace("-", "0"),
        "0198f2a46d1e-7c3b-9a55-3f0f5f3dfffe-",  # as long, with as many dashes
        FIRST[:-2] + "  ",  # Python passes over spaces between digits
        FIRST[:-1] + "g",
        FIRST[:-1] + "é",
    ],
)
def test_what_is_no_uuid_has_no_bytes_nor_do_others_beside_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|fromhex"):
        bytes_of_ids([FIRST, text])


def test_what_a_client_sends_twice_has_one_id() -> None:
    assert source_event_id("/cars", "1") == "70f5ff0d-6e12-5f8c-bd0f-ccb2a58d8824"
    assert keyed_event_id("k", 0) == "8db283e4-26c1-5c7c-a911-e2de024d1f5b"
    assert keyed_event_id("k", 1) != keyed_event_id("k", 0)


def test_parts_of_an_identity_stay_apart_whatever_they_hold() -> None:
    assert identity_of(("serial", "at"), {"at": "b", "serial": "50%|"}) == "serial=50%25%7C|at=b"
    assert identity_of(("n",), {"n": 7}) == "n=7"


PARTS: Final = st.text(max_size=3) | st.sampled_from(["%", "|", "50%|"]) | st.integers()


@given(st.lists(st.tuples(PARTS, PARTS), max_size=3))
def test_identities_of_many_rows_are_those_of_each(rows: list[tuple[str | int, str | int]]) -> None:
    columns = {"car": [car for car, _ in rows], "at": [at for _, at in rows]}
    named = [{"car": car, "at": at} for car, at in rows]
    for names in (("car", "at"), ("at",)):
        assert identities_of(names, columns) == [identity_of(names, row) for row in named]


def test_many_places_are_taken_apart_together() -> None:
    places = np.array([place_of(812, 417), place_of(0, 0), place_of(2**31, ROWS_MAX - 1)])
    assert positions_of(places).tolist() == [position_of(each) for each in places.tolist()]
    assert rows_at_places(places).tolist() == [row_of(each) for each in places.tolist()]
