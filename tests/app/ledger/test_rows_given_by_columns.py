"""Rows given by columns stand in the ledger as the same rows do, each given as an event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.cause import Cause
from app.clock import new_id
from app.ledger.batch import PreparedAppend
from app.ledger.commit import RowsKnown, commit_all
from app.ledger.new_events import (
    SAID_BY_ID,
    NewEvent,
    NewObservations,
    NewOutcomes,
    NewPredictions,
    NewSent,
    StreamAppend,
)
from app.ledger.preparing import prepare
from app.ledger.store import Ledger
from domain.blocks.ids import RowKeys, prediction_ids, source_event_ids
from domain.errors import IdempotencyConflict
from domain.events.block_events import BlockEvent
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, PredictionMade
from domain.events.expansion import expand
from tests.plausible import TIME, an

ONE = Cause("somebody", "why")
KEYS = RowKeys(("car",), "year", "mid-year")
UPLOADED = f"/models/cars/datasets/{'5' * 64}"
SENT, OTHER = (hashlib.sha256(text).digest() for text in (b"sent", b"other"))
CARS = st.lists(st.integers(1, 9), min_size=2, max_size=6, unique=True)
CELLS = st.one_of(st.none(), st.integers(-9, 9), st.floats(-1e6, 1e6), st.text("aé|", max_size=3))


def _common(cars: Sequence[int], cell: Any, personal: bool) -> dict[str, Any]:
    return {
        "model": "cars",
        "identities": [f"car={car}" for car in cars],
        "occurred_at": [TIME] * len(cars),
        "columns": {"year": [1976] * len(cars), "car": [*cars], "hpwt": [cell] * len(cars)},
        "keys": KEYS,
        "personal": personal,
    }


def observations(
    cars: Sequence[int], cell: Any = 0.5, source: str = UPLOADED, *, personal: bool = False
) -> NewObservations:
    told = [*map(str, cars)]
    return NewObservations(
        **_common(cars, cell, personal),
        source=source,
        source_ids=told,
        ids=source_event_ids(source, told),
        digests=None,
    )


def predictions(
    cars: Sequence[int],
    first: str,
    digest: bytes | None = None,
    cell: Any = 0.5,
    *,
    personal: bool = False,
) -> NewPredictions:
    return NewPredictions(
        **_common(cars, cell, personal),
        first=first,
        model_version="cars/1",
        plan_sha256="a" * 64,
        request_id="why",
        predictions=[car / 7 for car in cars],
        unknown_categories=[("region",)[: car % 2] for car in cars],
        request_digest=digest,
    )


def outcomes(
    cars: Sequence[int], source: str = "/labels", *, personal: bool = False
) -> NewOutcomes:
    common = _common(cars, None, personal)
    del common["columns"]
    told = [*map(str, cars)]
    return NewOutcomes(
        **common,
        source=source,
        source_ids=told,
        ids=source_event_ids(source, told),
        digests=[hashlib.sha256(each.encode()).digest() for each in told],
        prediction_ids=[new_id() for _ in cars],
        labels=[car / 7 for car in cars],
    )


def one_by_one(rows: NewSent | NewPredictions) -> list[NewEvent]:
    if isinstance(rows, NewSent):
        return [rows.event(index) for index in range(len(rows))]
    return [
        NewEvent(
            an(
                PredictionMade,
                model="cars",
                model_version=rows.model_version,
                plan_sha256=rows.plan_sha256,
                request_id=rows.request_id,
                identity=rows.identities[index],
                row={name: column[index] for name, column in rows.columns.items()},
                prediction=rows.predictions[index],
                unknown_categories=rows.unknown_categories[index],
            ),
            rows.ids[index],
            rows.occurred_at[index],
            rows.request_digest,
            rows.personal,
            rows.keys,
        )
        for index in range(len(rows))
    ]


def appending(*new: Any) -> StreamAppend:
    made = isinstance(new[0], NewPredictions)
    return StreamAppend("predictions-cars" if made else "observations-cars", new, None)


def record(ledger: Ledger, new: Any) -> tuple[Recorded, ...]:
    return ledger.append([appending(new)], Cause.unauthenticated(new_id()))


def prepared(*new: Any, apart: Sequence[str] = ()) -> PreparedAppend:
    return PreparedAppend(prepare([appending(*new)], ONE, recorded_at=TIME, apart=apart))


@given(CARS, CELLS, st.booleans(), st.sampled_from((UPLOADED, "/a-source")), st.sampled_from("pob"))
def test_they_share_the_entry_that_their_events_would_share(
    cars: list[int], cell: Any, personal: bool, source: str, kind: str
) -> None:
    rows: NewSent | NewPredictions = observations(cars, cell, source, personal=personal)
    if kind == "p":
        rows = predictions(cars, new_id(), SENT, cell, personal=personal)
    elif kind == "o":
        rows = outcomes(cars, source, personal=personal)
    ((entry,), (other,)) = (
        prepared(*new).streams[0].entries for new in ((rows,), one_by_one(rows))
    )
    assert entry.many is not None
    assert other.many is not None
    assert entry.many.block.lines == other.many.block.lines
    assert [*entry.many.ids] == [*other.many.ids]
    assert (entry.request_digest, entry.many.digests) == (other.request_digest, other.many.digests)
    shared, its = entry.recorded.event, other.recorded.event
    assert isinstance(shared, BlockEvent)
    assert isinstance(its, BlockEvent)
    assert replace(shared, rows_root="") == replace(its, rows_root="")  # each has its own salts
    assert [each.event for each in expand(entry.recorded)] == [
        each.event for each in one_by_one(rows)
    ]


def test_the_answer_is_the_entry_for_each_and_a_known_one_is_the_first(ledger: Ledger) -> None:
    [known] = record(ledger, observations([2, 3]).event(0))
    again = record(ledger, observations([1, 2, 3, 4]))
    assert again[1] == known
    assert again[0] == again[2] == again[3]
    assert [each.identity for each in _events(again[0])] == ["car=1", "car=3", "car=4"]
    assert record(ledger, observations([1, 2])) == (next(expand(again[0])), known)
    assert record(ledger, observations([2, 5]))[1].rows == 1, "one that is left stands alone"
    assert ledger.size() == 4


def _events(entry: Recorded) -> list[ObservationRecorded]:
    return [each.event for each in expand(entry) if isinstance(each.event, ObservationRecorded)]


@pytest.mark.parametrize("rows", [observations([1, 2, 3]), outcomes([1, 2, 3])])
def test_rows_of_one_transaction_meet_each_other(ledger: Ledger, rows: NewSent) -> None:
    """Given three who send the same at once, the first has its entry, the second is told to
    prepare again, and who has done so is given the first one's rows."""
    appends = [prepared(rows), prepared(rows), prepared(rows, apart=rows.ids)]
    with ledger.writing() as connection:
        first, second, third = commit_all(connection, appends, ledger.project)
    assert isinstance(first, tuple)
    assert isinstance(second, RowsKnown)
    assert second.ids == {*rows.ids}
    assert third == tuple(expand(first[0]))


def test_who_is_forestalled_each_time_is_not_turned_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given somebody who records one of the same rows before each try, at every one another."""
    rows = observations([1, 2, 3, 4, 5, 6])
    append = ledger._writer.append
    first = iter(range(4))

    def forestalled(prepared: PreparedAppend) -> tuple[Recorded, ...]:
        for index in islice(first, 1):
            append(PreparedAppend(prepare([appending(rows.event(index))], ONE, recorded_at=TIME)))
        return append(prepared)

    monkeypatch.setattr(ledger._writer, "append", forestalled)
    found = record(ledger, rows)
    assert [_events(each)[0].identity for each in found] == [*rows.identities]
    assert ledger.size() == len(rows) + 1, "each once, behind the first entry"


def test_rows_are_new_once_however_they_come(ledger: Ledger) -> None:
    rows = observations([1, 2])
    found = ledger.append([appending(rows, rows, rows.event(1))], Cause.unauthenticated(new_id()))
    assert found[:2] == found[2:4]
    assert found[4] == found[1]
    assert [each.event for each in found[:2]] == [rows.event(index).event for index in (0, 1)]
    assert ledger.size() == 2


def test_the_key_of_a_request_is_met_with_all_its_rows(ledger: Ledger) -> None:
    first = new_id()
    made = record(ledger, predictions([1, 2, 3], first, SENT))
    assert made == (made[0],) * 3
    assert record(ledger, predictions([1, 2, 3], first, SENT)) == tuple(expand(made[0]))
    for digest in (OTHER, None):
        with pytest.raises(IdempotencyConflict):
            record(ledger, predictions([1, 2, 3], first, digest))
    assert ledger.first_answer(first) == ([*expand(made[0])], SENT)


def test_predictions_have_ids_that_count_on() -> None:
    first = new_id()
    assert predictions([1, 2], first).ids == prediction_ids(first, 2)


def test_ids_that_say_what_was_sent_need_no_digest() -> None:
    rows = observations([1, 2])
    assert {each.request_digest for each in one_by_one(rows)} == {SAID_BY_ID}
