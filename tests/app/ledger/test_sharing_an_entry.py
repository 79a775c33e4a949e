"""Rows of one request share an entry, and are answered, met again and refused each by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.cause import Cause
from app.clock import new_id
from app.ledger.joining import plain_rows, runs_of
from app.ledger.new_events import SAID_BY_ID
from app.ledger.preparing import prepare
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.tables import BLOCKS, ENTRIES, ROW_IDS
from domain.blocks.ids import RowKeys, prediction_ids, source_event_id
from domain.errors import IdempotencyConflict
from domain.events.envelope import Recorded, parse_entry
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade, Row
from domain.events.expansion import expanded
from tests.plausible import TIME, an

KEYS = RowKeys(("car",), "year", "mid-year")
UPLOADED = f"/models/cars/datasets/{'5' * 64}"
SENT, OTHER = (hashlib.sha256(text).digest() for text in (b"sent", b"other"))


def row_of(car: int, value: float | None = 0.5) -> Row:
    return {"year": 1976, "car": car, "hpwt": value}


def observation(car: int, source: str = "/tests", digest: bytes = SENT, **how: Any) -> NewEvent:
    said = {"source": source, "source_id": str(car), "identity": f"car={car}", "row": row_of(car)}
    extensions = how.pop("extensions", {})
    event = an(ObservationRecorded, extensions=extensions, **said)
    return _new(event, source_event_id(source, str(car)), digest, **how)


def outcome(car: int, source: str = "/labels", digest: bytes = SENT, **how: Any) -> NewEvent:
    said = {"source": source, "source_id": str(car), "identity": f"car={car}"}
    event = an(OutcomeRecorded, prediction_id=new_id(), extensions={}, label=car / 7, **said)
    return _new(event, source_event_id(source, str(car)), digest, **how)


def predictions(cars: Sequence[int], first: str, digest: bytes | None = None) -> list[NewEvent]:
    ids = prediction_ids(first, len(cars))
    return [
        _new(an(PredictionMade, identity=f"car={car}", row=row_of(car)), id, digest)
        for car, id in zip(cars, ids, strict=True)
    ]


def _new(event: Any, id: str, digest: bytes | None, **how: Any) -> NewEvent:
    return NewEvent(event, id, TIME, digest, **{"keys": KEYS} | how)


def record(ledger: Ledger, *events: NewEvent) -> tuple[Recorded, ...]:
    model = "predictions" if isinstance(events[0].event, PredictionMade) else "observations"
    append = StreamAppend(f"{model}-cars", events, None)
    return ledger.append([append], Cause.unauthenticated(new_id()))


def sizes(*events: NewEvent, apart: Sequence[str] = ()) -> list[int]:
    return [1 if isinstance(run, NewEvent) else len(run) for run in runs_of(events, apart)]


def test_rows_share_an_entry_when_kind_source_and_cause_of_trust_are_the_same() -> None:
    seen = observation
    assert sizes(seen(1), seen(2), seen(3)) == [3]
    assert sizes(seen(1), seen(2), outcome(3), outcome(4), seen(5)) == [2, 2, 1], "in their order"
    assert sizes(seen(1), seen(2, "/others"), seen(3, "/others")) == [1, 2]
    assert sizes(seen(1), seen(2, extensions={"trace": "x"}), seen(3)) == [1, 1, 1]
    assert sizes(seen(1, keys=None), seen(2, keys=None)) == [1, 1]
    assert sizes(seen(1), seen(2, digest=SAID_BY_ID)) == [1, 1]
    made = predictions(range(3), new_id())
    assert sizes(*made) == [3]
    other = an(PredictionMade, model_version="cars/2", row=row_of(9))
    assert sizes(*made, _new(other, new_id(), None)) == [3, 1]


def test_of_people_whoever_sent_the_rows_stands_apart_unless_it_is_an_upload() -> None:
    mixed = [observation(car, f"/{car}", personal=True) for car in (1, 2)]
    assert sizes(*mixed) == [2]
    uploaded = [observation(car, UPLOADED, personal=True) for car in (3, 4)]
    assert sizes(*mixed, *uploaded) == [2, 2]


def test_rows_that_may_be_known_stand_alone_behind_the_others() -> None:
    one, two, three = (observation(car) for car in (1, 2, 3))
    assert sizes(one, two, three, apart=[two.id]) == [2, 1]
    assert sizes(one, two, one) == [2, 1], "sent twice"


CARS = st.lists(st.integers(1, 9), min_size=2, max_size=6, unique=True)
CELLS = st.one_of(st.none(), st.integers(-9, 9), st.floats(-1e6, 1e6), st.text("aé|", max_size=3))


@given(cars=CARS, cell=CELLS, personal=st.booleans(), kind=st.sampled_from("pob"))
def test_what_is_answered_is_what_is_read_back(
    cars: list[int], cell: Any, personal: bool, kind: str
) -> None:
    if kind == "p":
        made = (
            an(PredictionMade, row=row_of(car, cell), identity=f"car={car}", request_id=None)
            for car in cars
        )
        ids = prediction_ids(new_id(), len(cars))
        events = [_new(*each, None, personal=personal) for each in zip(made, ids, strict=True)]
    else:
        told = outcome if kind == "o" else observation
        events = [told(car, "/a-source", personal=personal) for car in cars]
    stream = "predictions-cars" if kind == "p" else "observations-cars"
    append = StreamAppend(stream, tuple(events), None)
    [part] = prepare([append], Cause("somebody", "why"), recorded_at=TIME)
    [entry] = part.entries
    many = entry.many
    assert many is not None

    read = parse_entry(entry.content, position=-1, stream_version=-1, blocks=lambda _: many.block)
    assert read == entry.recorded
    assert expanded([read]) == list(plain_rows(entry.recorded, many.events or ()))
    assert [(each.id, each.event) for each in expanded([read])] == [
        (new.id, new.event) for new in events
    ]
    assert kind == "p" or (b"/a-source" in entry.content) is not personal
    assert b"car=" not in entry.content


def test_rows_sent_again_among_new_ones_are_the_first_ones(ledger: Ledger) -> None:
    first = record(ledger, *(observation(car) for car in (1, 2, 3)))
    again = record(ledger, *(observation(car) for car in (2, 7, 3, 8)))

    assert [again[0], again[2]] == [first[1], first[2]]
    assert (again[1].position, again[1].row, again[3].row) == (2, 0, 1)
    assert record(ledger, observation(8)) == (again[3],), "alone"
    assert ledger.size() == 3
    with ledger.snapshot() as connection:
        assert len(connection.execute(select(ROW_IDS)).all()) == 5


def test_a_row_alone_is_met_among_many(ledger: Ledger) -> None:
    [alone] = record(ledger, observation(1))
    many = record(ledger, observation(1), observation(2), observation(3))
    assert many[0] == alone
    assert [each.position for each in many] == [1, 2, 2]


@pytest.mark.parametrize("others", [(), (5,)])
def test_a_row_with_another_body_refuses_all(ledger: Ledger, others: tuple[int, ...]) -> None:
    record(ledger, observation(1), observation(2))
    again = [observation(2, digest=OTHER), *map(observation, others)]
    with pytest.raises(IdempotencyConflict, match=again[0].id):
        record(ledger, *again)
    assert ledger.size() == 2


def test_rows_whose_ids_say_what_was_sent_need_no_digest(ledger: Ledger) -> None:
    first = record(ledger, *(observation(car, UPLOADED, SAID_BY_ID) for car in (1, 2)))
    again = record(ledger, *(observation(car, UPLOADED, SAID_BY_ID) for car in (1, 2, 3)))
    assert again[:2] == first
    with pytest.raises(IdempotencyConflict):
        record(ledger, observation(1, UPLOADED))  # somebody else's event under that id
    with ledger.snapshot() as connection:
        assert connection.execute(select(BLOCKS.c.digests)).scalars().all() == [None]


def test_the_key_of_a_request_is_met_with_all_its_rows(ledger: Ledger) -> None:
    first = new_id()
    made = record(ledger, *predictions([1, 2, 3], first, SENT))
    assert record(ledger, *predictions([1, 2, 3], first, SENT)) == made
    for cars, digest in product(([1, 2, 3], [1, 2], [1]), (OTHER, None)):
        with pytest.raises(IdempotencyConflict):
            record(ledger, *predictions(cars, first, digest))
    assert ledger.size() == 2
    answered = ledger.first_answer(first)
    assert answered == (list(made), SENT)
    with ledger.snapshot() as connection:
        assert connection.execute(select(ENTRIES.c.request_digest)).scalars().all()[-1] is None


def test_predictions_have_ids_that_count_on(ledger: Ledger) -> None:
    one, two = predictions([1, 2], new_id())
    with pytest.raises(ValueError, match="count on"):
        record(ledger, two, one)
