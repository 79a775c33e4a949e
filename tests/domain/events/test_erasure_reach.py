"""An erasure reaches what was written before it, of the same model, and nothing else."""

from __future__ import annotations

import pytest
from msgspec.structs import fields, replace

from domain.events.block_events import RowPlace
from domain.events.erasure_reach import (
    ERASABLE_FIELDS,
    FREEZE,
    ManyRows,
    StoodBefore,
    beyond_reach,
    frozen_in,
    model_of_frozen,
    model_of_rows,
    within_reach,
)
from domain.events.events import EVENT_TYPES, PayloadErased

POSITION = 9
ROWS = {3: "cars", 5: "bikes", 12: "cars"}  # position -> the model of the row whose data is there
MANY = {
    4: ManyRows("cars", 3),
    6: ManyRows("bikes", 3),
    7: ManyRows(None, 3),
    9: ManyRows("cars", 9),
}
FROZEN = "ab" * 32
STARTED = frozenset({"cars-1", "bikes-1", "../cars-1"})
ERASURE = PayloadErased(
    model="cars",
    entries=(3,),
    rows=(RowPlace(position=4, row=2),),
    artefacts=(FROZEN,),
    cycles=("cars-1",),
    model_versions=("cars/1",),
    reason="she asked for it",
    legal_basis="GDPR Art. 17",
)


BEFORE = StoodBefore(
    rows_model=ROWS.get,
    many_rows=MANY.get,
    is_frozen=FROZEN.__eq__,
    has_started=STARTED.__contains__,
)


def beyond(event: PayloadErased) -> list[str]:
    return list(beyond_reach(event, POSITION, BEFORE))


def test_what_stands_before_it_of_its_model_is_within_reach() -> None:
    assert beyond(ERASURE) == []
    assert beyond(replace(ERASURE, entries=(), rows=(), artefacts=(), cycles=())) == []


@pytest.mark.parametrize(
    ("position", "row"), [(4, 3), (4, -1), (3, 0), (6, 0), (7, 0), (9, 0), (-1, 0)]
)
def test_a_row_is_within_reach_where_its_model_has_so_many_rows_in_an_entry_before(
    position: int, row: int
) -> None:
    beyond_it = replace(ERASURE, rows=(*ERASURE.rows, RowPlace(position=position, row=row)))
    said = f"row {row} of entry {position}, which is no row of 'cars' before it"
    assert beyond(beyond_it) == [said]
    assert within_reach(beyond_it, POSITION, BEFORE) == ERASURE


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (replace(ERASURE, entries=(3, 12)), "entry 12, which does not stand before it"),
        (replace(ERASURE, entries=(POSITION,)), "entry 9, which does not stand before it"),
        (replace(ERASURE, entries=(-1,)), "entry -1, which does not stand before it"),
        (replace(ERASURE, entries=(5,)), "entry 5, whose data is none of a row of 'cars'"),
        (replace(ERASURE, entries=(4,)), "entry 4, whose data is none of a row of 'cars'"),
        (
            replace(ERASURE, artefacts=("cd" * 32,)),
            f"the artefact {'cd' * 32!r}, which nothing of 'cars' froze before it",
        ),
        (
            replace(ERASURE, cycles=("bikes-1",)),
            "the cycle 'bikes-1', which is none of 'cars' before it",
        ),
        (
            replace(ERASURE, cycles=("cars-2",)),
            "the cycle 'cars-2', which is none of 'cars' before it",
        ),
        (
            replace(
                ERASURE, model="../cars", entries=(), rows=(), artefacts=(), cycles=("../cars-1",)
            ),
            "the cycle '../cars-1', which is none of '../cars' before it",
        ),
    ],
)
def test_what_it_names_and_may_not_is_said(event: PayloadErased, said: str) -> None:
    assert beyond(event) == [said]


def test_of_what_it_names_only_what_it_may_is_believed() -> None:
    assert within_reach(ERASURE, POSITION, BEFORE) == ERASURE
    planted = replace(
        ERASURE,
        entries=(-1, 3, 4, 5, 9, 12),
        artefacts=("cd" * 32, FROZEN),
        cycles=("cars-1", "bikes-1", "cars-2", "../cars-1"),
    )
    assert within_reach(planted, POSITION, BEFORE) == ERASURE


def test_a_stream_says_whose_rows_and_whose_frozen_bytes_its_entries_name() -> None:
    streams = ("observations-cars", "predictions-two-wheels", "cycle-two-wheels-12", "model-cars")
    assert [model_of_rows(each) for each in streams] == ["cars", "two-wheels", None, None]
    assert [model_of_frozen(each) for each in streams] == [None, None, "two-wheels", "cars"]
    assert (model_of_rows("ledger"), model_of_frozen("ledger")) == (None, None)


def test_the_events_that_freeze_are_those_that_have_a_field_that_can_be_erased() -> None:
    assert FREEZE == {
        event.type
        for event in EVENT_TYPES
        if any(each.name in ERASABLE_FIELDS for each in fields(event))
    }


def test_an_event_names_what_may_be_erased_with_its_rows() -> None:
    data = {"reference_sha256": FROZEN, "residuals_sha256": None, "plan_sha256": "cd" * 32}
    assert frozen_in(data) == {FROZEN}
