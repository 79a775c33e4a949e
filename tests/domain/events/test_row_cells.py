"""Rows read together say what their plain events say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domain.events import row_cells
from domain.events.envelope import Recorded
from domain.events.events import ObservationRecorded, OutcomeRecorded, PredictionMade
from domain.events.expansion import expanded
from domain.events.row_cells import (
    AnsweredRow,
    answered_rows,
    answered_together,
    cells_of,
    labelled_together,
    names_of,
    observed_together,
)
from tests.domain.events.test_expansion import CARS, VECTORS, entry_of, read, stored

NAMES = [
    (kind.type, kind.schema) for kind in (PredictionMade, ObservationRecorded, OutcomeRecorded)
]


def said(entry: Recorded) -> Iterator[AnsweredRow]:
    for each in expanded([entry]):
        event = each.event
        if isinstance(event, PredictionMade):
            yield AnsweredRow(each.place, event.identity, each.occurred_at, event.prediction)


@pytest.fixture(params=["together", "one by one"])
def any_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the rows are read."""
    if request.param == "one by one":
        monkeypatch.setattr(row_cells, "UPCASTERS", dict.fromkeys(NAMES))


@pytest.mark.usefixtures("any_way")
def test_answered_rows_are_those_of_the_plain_events() -> None:
    entry = entry_of(CARS)
    rows = list(answered_rows(entry))
    assert rows == list(said(entry))
    assert len(rows) == 3
    assert [*zip(*answered_together(entry), strict=True)] == rows
    first = expanded([entry])[0]
    assert list(answered_rows(first)) == list(said(first)) == rows[:1]


@pytest.mark.usefixtures("any_way")
def test_names_are_those_of_the_plain_events() -> None:
    entry = entry_of(CARS)
    expected = [(row.identity, row.event_time) for row in said(entry)]
    assert names_of(entry, [0, 1, 2]) == expected
    assert names_of(entry, [2, 0, 2]) == [expected[2], expected[0], expected[2]]
    assert names_of(expanded([entry])[0], [0, 0]) == [expected[0]] * 2
    assert names_of(entry_of(VECTORS["observations"]), [0]) is None


@pytest.mark.usefixtures("any_way")
def test_labels_are_those_of_the_plain_events() -> None:
    for gone in ({}, {1: VECTORS["outcomes"]["rows"][1]["id"]}):
        block = stored(VECTORS["outcomes"]).erased(gone)
        entry = read(VECTORS["outcomes"]["envelope"].encode(), block)
        expected = [
            (each.place, each.event.prediction_id, each.event.label)
            for each in expanded([entry])
            if isinstance(each.event, OutcomeRecorded)
        ]
        assert [*zip(*labelled_together(entry), strict=True)] == expected
        assert len(expected) == entry.rows - len(gone)
        first = expanded([entry])[0]
        assert [*zip(*labelled_together(first), strict=True)] == expected[:1]
    every = dict(enumerate(each["id"] for each in VECTORS["outcomes"]["rows"]))
    entry = read(
        VECTORS["outcomes"]["envelope"].encode(), stored(VECTORS["outcomes"]).erased(every)
    )
    assert [*zip(*labelled_together(entry), strict=True)] == []


def test_an_erased_row_is_answered_no_more_and_has_no_cells() -> None:
    entry = read(CARS["envelope"].encode(), stored(CARS).erased({1: CARS["rows"][1]["id"]}))
    rows = list(answered_rows(entry))
    assert rows == list(said(entry))
    assert [row.place & 0xFFFF for row in rows] == [0, 2]
    assert cells_of(entry, [0, 1], ["air"]) is None
    assert names_of(entry, [0, 1]) is None
    assert cells_of(entry, [0, 2], ["air"]) == [[0, 1]]


@pytest.mark.usefixtures("any_way")
@pytest.mark.parametrize("name", ["predictions", "observations"])
def test_cells_are_those_of_the_plain_events(name: str) -> None:
    entry = entry_of(VECTORS[name])
    plain = [each.event for each in expanded([entry])]
    names = ["year", "nothing", "air", "price"]
    for rows in ([0, 1], [1], [0, 0, 1]):
        held = [plain[row] for row in rows]
        assert all(isinstance(each, PredictionMade | ObservationRecorded) for each in held)
        expected = [[each.row.get(name) for each in held] for name in names]  # type: ignore[union-attr]
        assert cells_of(entry, rows, names) == expected
    assert cells_of(expanded([entry])[0], [0, 0], ["year"]) == [[plain[0].row.get("year")] * 2]  # type: ignore[union-attr]


@pytest.mark.usefixtures("any_way")
def test_observed_rows_are_those_of_the_plain_events() -> None:
    entry = entry_of(VECTORS["observations"])
    plain = expanded([entry])
    names = {name for each in plain for name in each.event.row}  # type: ignore[union-attr]
    for target in [*names, "nothing"]:
        expected = [
            (each.place, each.event.identity, each.occurred_at, each.event.row.get(target))
            for each in plain
            if isinstance(each.event, ObservationRecorded)
        ]
        assert [*zip(*observed_together(entry, target), strict=True)] == expected
        assert [*zip(*observed_together(plain[0], target), strict=True)] == expected[:1]


def test_an_erased_observation_is_observed_no_more() -> None:
    vector = VECTORS["observations"]
    block = stored(vector).erased({0: vector["rows"][0]["id"]})
    entry = read(vector["envelope"].encode(), block)
    places = observed_together(entry, "year").places
    assert [place & 0xFFFF for place in places] == [*range(1, entry.rows)]


def test_an_outcome_has_no_columns() -> None:
    entry = entry_of(VECTORS["outcomes"])
    assert cells_of(entry, [0], ["year"]) is None
    assert cells_of(expanded([entry])[0], [0], ["year"]) is None
