"""What a window holds and what is asked of labels: arrays and numbers, as plain Python has them."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.projections import answered_rows, kept_columns, row_values, zones
from app.projections.answered_rows import Reach, count_answered
from app.projections.labels import LABELS
from app.projections.labels_in_force import (
    corrected_among,
    first_labels,
    labelled_between,
    labelled_count,
    labelled_in,
    new_labelled_count,
)
from app.projections.windows import (
    Answers,
    Window,
    event_times_of,
    groups_of,
    prediction_columns,
    rows_answered,
    window_predictions,
)
from app.projections.zones import ZONES
from domain import packed
from domain.blocks.ids import place_of
from domain.errors import ReadModelUnfit
from domain.events.envelope import Recorded
from domain.events.events import Event
from domain.identities import each_digest, row_digest
from tests import ledger_events as events
from tests.app.behind_the_service import writing_to

_MODELS = count(1)


def year(number: int) -> str:
    return f"{1970 + number}-07-01T00:00:00.000000Z"


@dataclass(frozen=True)
class Predicted:
    position: int
    identity: str
    version: str
    time: str
    value: float
    id: str


@dataclass(frozen=True)
class Label:
    position: int
    identity: str
    time: str
    label: float


@dataclass
class Told:
    """A story of one model, and what plain Python makes of it."""

    model: str
    predicted: list[Predicted] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    end: int = 0

    def window(self, inside: Iterable[Predicted]) -> list[Predicted]:
        """The latest per identity, by position."""
        latest = {each.identity: each for each in inside}
        return sorted(latest.values(), key=lambda each: each.position)

    def of_identity(self, up_to: int) -> dict[str, list[Label]]:
        found: dict[str, list[Label]] = {}
        for each in self.labels:
            if each.position <= up_to:
                found.setdefault(each.identity, []).append(each)
        return found

    def in_force(self, before: str, up_to: int) -> dict[str, Label]:
        last = {name: given_[-1] for name, given_ in self.of_identity(up_to).items()}
        return {name: each for name, each in last.items() if each.time < before}


@dataclass(frozen=True)
class Step:
    what: str  # predict, observe, outcome
    identity: str
    year: int
    number: int  # version of the champion, or which prediction is labelled
    value: float | None


NAMES = ["car=1", "car=2", "car=é", "car=Z"]
STEPS = st.builds(
    Step,
    what=st.sampled_from(["predict", "predict", "observe", "outcome", "elsewhere"]),
    identity=st.sampled_from(NAMES),
    year=st.integers(0, 4),
    number=st.integers(0, 1),
    value=st.none() | st.sampled_from([1.0, 2.5, 8.0]),
)


def tell(ledger: Ledger, steps: Sequence[Step]) -> Told:
    """Append the steps one by one in one transaction each run of a stream; outcomes after."""
    told = Told(model=f"cars{next(_MODELS)}")
    put(ledger, f"model-{told.model}", [(events.contract_adopted(told.model), year(0))])
    for step in steps:
        value = 1.0 if step.value is None else step.value
        if step.what == "predict":
            version = f"{told.model}/{step.number}"
            made = events.prediction(step.identity, told.model, version, value)
            (entry,) = put(ledger, f"predictions-{told.model}", [(made, year(step.year))])
            told.predicted.append(
                Predicted(entry.position, step.identity, version, year(step.year), value, entry.id)
            )
        elif step.what == "observe":
            seen = events.observation(step.identity, told.model, price=step.value)
            (entry,) = put(ledger, f"observations-{told.model}", [(seen, year(step.year))])
            if step.value is not None:
                label = Label(entry.position, step.identity, year(step.year), step.value)
                told.labels.append(label)
        elif step.what == "outcome" and told.predicted:
            of = told.predicted[step.year % len(told.predicted)]
            known = events.outcome(of.id, of.identity, told.model, label=value)
            (entry,) = put(ledger, f"observations-{told.model}", [(known, year(9))])
            told.labels.append(Label(entry.position, of.identity, of.time, value))
        else:
            other = events.prediction(step.identity, "vans", f"{told.model}/1", value)
            put(ledger, "predictions-vans", [(other, year(step.year))])
    told.end = ledger.size()
    return told


def put(
    ledger: Ledger, stream: str, given_events: Sequence[tuple[Event, str]]
) -> tuple[Recorded, ...]:
    new = tuple(NewEvent(event=event, id=new_id(), occurred_at=at) for event, at in given_events)
    return ledger.append([StreamAppend(stream, new, None)], Cause.unauthenticated(new_id()))


@pytest.fixture
def small_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few entries in a zone that a story has several."""
    monkeypatch.setattr(zones, "ZONE_ENTRIES", 4)


@pytest.mark.usefixtures("small_zones")
@hypothesis(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    steps=st.lists(STEPS, max_size=14),
    years=st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 5)),
    back=st.integers(0, 6),
    had=st.tuples(st.integers(0, 8), st.none() | st.integers(0, 5)),
)
def test_whatever_was_told_a_window_and_its_labels_are_what_plain_python_makes_of_them(
    ledger: Ledger,
    steps: list[Step],
    years: tuple[int, int, int],
    back: int,
    had: tuple[int, int | None],
) -> None:
    told = tell(ledger, steps)
    up_to, version = told.end - back, f"{told.model}/1"
    reach, start, end = (year(each) for each in sorted(years))
    known = [each for each in told.predicted if each.position <= up_to]
    asked = [each for each in known if reach <= each.time < end]
    inside = [each for each in asked if each.version == version and start <= each.time]
    with ledger.connect() as connection:
        said: dict[str, Any] = {
            "model_version": version,
            "start": start,
            "end": end,
            "up_to": up_to,
        }
        windows = [
            window_predictions(
                connection, told.model, unclipped_start=reach, by_time=by_time, **said
            )
            for by_time in (False, True)
        ]
        assert rows_answered(connection, told.model, **said) == len(windows[0])
        between = Answers(
            connection, told.model, version, Reach(start="", end=end, after=up_to - 6, up_to=up_to)
        ).window(by_time=True)
        every = Answers(connection, told.model, version, Reach(start="", end=end, up_to=up_to))
        answered = count_answered(connection, told.model, after=up_to - 6, up_to=up_to)
        labelled = labelled_in(connection, windows[0], before=end, up_to=up_to)
        first = [label for _, label in first_labels(connection, windows[0], up_to=up_to)]
        stand, values = labelled_between(connection, told.model, start=start, end=end, up_to=up_to)
        counted = labelled_count(connection, told.model, before=end, up_to=up_to)
        before = None if had[1] is None else year(had[1])
        then = up_to - had[0]
        new = new_labelled_count(
            connection, told.model, before=end, up_to=up_to, had_up_to=then, had_before=before
        )
        again = corrected_among(connection, told.model, NAMES[:3], before=end, up_to=up_to)

    rows = told.window(inside)
    _is(windows[0], told.model, rows)
    _is(windows[1], told.model, sorted(rows, key=lambda each: (each.time, each.identity)))
    reasons = Counter("made by another version" for each in asked if each.version != version)
    reasons["before the champion's training ended"] = sum(
        each.version == version and each.time < start for each in asked
    )
    reasons["a later prediction of the same row counts"] = len(inside) - len(rows)
    assert windows[0].left_out == windows[1].left_out == dict(+reasons)
    later = [
        each
        for each in known
        if each.version == version and each.position > up_to - 6 and each.time < end
    ]
    later_by_time = sorted(told.window(later), key=lambda each: (each.time, each.identity))
    _is(between, told.model, later_by_time)
    # What is read once gives every window of it.
    _is(every.window(after=up_to - 6, by_time=True), told.model, later_by_time)
    _is(every.window(start=start), told.model, rows)
    _is(every.window(after=up_to - 6), told.model, told.window(later))
    assert answered == sum(each.position > up_to - 6 for each in known)

    force, given_ = told.in_force(end, up_to), told.of_identity(up_to)
    have = [each for each in rows if each.identity in force]
    _is(labelled.window, told.model, have)
    assert labelled.labels.tolist() == [force[each.identity].label for each in have]
    assert first == [
        given_[each.identity][0].label if each.identity in given_ else None for each in rows
    ]
    there = sorted(
        (each for each in force.values() if each.time >= start),
        key=lambda each: (each.time, each.identity),
    )
    assert stand.tolist() == [place_of(each.position, 0) for each in there]
    assert values.tolist() == [each.label for each in there]
    assert counted == len(force)
    earlier = told.in_force("9999" if before is None else before, then)
    assert new == len(force.keys() - earlier.keys())
    assert again == {name for name in NAMES[:3] if name in force and len(given_[name]) > 1}


def _is(window: Window, model: str, rows: Sequence[Predicted]) -> None:
    assert window.places.tolist() == [place_of(each.position, 0) for each in rows]
    assert window.predictions.tolist() == [each.value for each in rows]
    assert list(event_times_of(window)) == [each.time for each in rows]
    named = [row_digest(model, each.identity) for each in rows]
    assert each_digest(window.row_digests) == named


def window_of(ledger: Ledger, rows: int) -> Window:
    """So many predictions of one window."""
    for first in range(0, rows, 500):
        made = [
            (events.prediction(f"car={n}", value=n / 3), year(1)) for n in range(first, first + 500)
        ]
        put(ledger, "predictions-cars", made)
    with ledger.connect() as connection:
        return window_predictions(
            connection,
            "cars",
            model_version="cars/1",
            start=year(0),
            end=year(2),
            up_to=ledger.size(),
        )


def test_columns_are_read_when_asked_for_in_the_order_of_the_rows(ledger: Ledger) -> None:
    window = window_of(ledger, 500).without(np.arange(500) % 5 > 0)
    backwards = replace(window, places=window.places[::-1], left_out={})
    names = ["car", "hpwt", "note", "gone"]
    columns = prediction_columns(ledger.connect, backwards, names)
    assert list(columns["car"]) == [f"car={n}" for n in range(495, -1, -5)]
    assert (columns["hpwt"].total(), columns["note"].missing) == (50.0, 100)
    assert columns["gone"].missing == 100
    assert (list(columns), len(columns), "air" in columns) == (names, 4, False)
    with pytest.raises(KeyError):
        columns["air"]
    with ledger.connect() as connection:
        assert groups_of(connection, window, "car").tolist() == list(range(100))
        assert groups_of(connection, window, "hpwt").tolist() == [0] * 100


@pytest.mark.parametrize("held", ["predictions", "column"])
def test_a_window_four_times_as_large_takes_no_more_than_its_arrays(
    sqlite_ledger: Ledger, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given 2,000 and 8,000 rows, of which some hundred are objects at a time, then what is held at
    most grows by 40 bytes for what a window has of a row, or by 10 for a number, and by what
    statements leave to the garbage collector; a row as an object is some 1,000."""
    for module, name in (
        (row_values, "_ROWS_AT_ONCE"),
        (answered_rows, "_ROWS_AT_ONCE"),
        (packed, "_AT_ONCE"),
        (kept_columns, "_VALUES_HELD_MAX"),  # of both sizes a column is in memory alone
    ):
        monkeypatch.setattr(module, name, 500)
    most = []
    for rows in (2_000, 8_000):
        window = window_of(sqlite_ledger, rows)
        columns = prediction_columns(sqlite_ledger.connect, window, ["hpwt", "air"])
        list(columns.values())
        tracemalloc.start()
        if held == "column":
            assert len(columns["hpwt"]) == len(window)
        else:
            with sqlite_ledger.connect() as connection:
                window_predictions(
                    connection,
                    "cars",
                    model_version="cars/1",
                    start=year(0),
                    end=year(2),
                    up_to=sqlite_ledger.size(),
                )
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[1] - most[0] <= 70 * 6_000


@pytest.mark.parametrize(
    "further",
    [
        pytest.param(1, id="a row that the entry has not"),
        pytest.param(place_of(1, 0), id="an entry that is no row"),
        pytest.param(place_of(2, 0), id="an entry that there is not"),
    ],
)
def test_a_place_without_a_row_is_a_wrong_read_model(ledger: Ledger, further: int) -> None:
    window = window_of(ledger, 500)
    put(ledger, "model-cars", [(events.contract_adopted(), year(0))])
    places = window.places.copy()
    places[-1] += further
    columns = prediction_columns(ledger.connect, replace(window, places=places), ["hpwt"])
    with pytest.raises(ReadModelUnfit, match="'place' of a row holds what the ledger does not"):
        columns["hpwt"]


def test_a_label_or_a_zone_that_is_none_is_a_wrong_read_model(
    sqlite_ledger: Ledger,
) -> None:
    """On SQLite, whose columns take anything."""
    ledger = sqlite_ledger
    put(ledger, "model-cars", [(events.contract_adopted(), year(0))])
    window = window_of(ledger, 500)
    put(ledger, "observations-cars", [(events.observation("car=1"), year(1))])
    with writing_to(ledger, LABELS) as connection:
        connection.exec_driver_sql(f"UPDATE {LABELS.name} SET label = 'much'")
    with ledger.connect() as connection, pytest.raises(ReadModelUnfit, match="'label' of label"):
        labelled_in(connection, window, before=year(2), up_to=ledger.size())
    with writing_to(ledger, ZONES) as connection:
        connection.exec_driver_sql(f"UPDATE {ZONES.name} SET \"rows\" = 'many'")
    with (
        ledger.connect() as connection,
        pytest.raises(ReadModelUnfit, match="'rows' of a Zone holds"),
    ):
        Answers(connection, "cars", "cars/1", Reach(start="", end=year(2), up_to=ledger.size()))
