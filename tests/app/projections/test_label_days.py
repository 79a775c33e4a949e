"""How many predicted rows have no label, by day: whatever happened, as counted from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.cause import Cause
from app.clock import new_id
from app.ledger.payloads import delete_erased
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.tables import PAYLOADS
from app.projections import zones
from app.projections.label_days import LABEL_DAYS, rows_in_whole_days
from app.projections.rebuild import rebuild
from domain.errors import ReadModelUnfit
from domain.events.events import (
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PredictionMade,
)
from tests import ledger_events as events
from tests.app.behind_the_service import writing_to
from tests.app.planting import erasure

TIMES = (
    "1976-07-01T00:00:00.000000Z",
    "1976-07-01T23:59:59.999999Z",
    "1976-07-02T00:00:00.000000Z",
    "1977-07-01T12:00:00.000000Z",
)
MODELS = st.sampled_from(["cars", "vans"])
IDENTITIES = st.sampled_from([f"car={number}" for number in range(4)])
PERSONAL = st.booleans()
Days = list[tuple[str, str, str, int, int]]


@dataclass
class Told:
    """A ledger, and what was predicted in it."""

    ledger: Ledger
    predictions: list[NewEvent] = field(default_factory=list)

    def append(self, stream: str, *new: NewEvent) -> None:
        self.ledger.append([StreamAppend(stream, new, None)], Cause.unauthenticated(new_id()))


Step = Callable[[Told], None]


def predicting(model: str, rows: list[tuple[str, int, str]], personal: bool) -> Step:
    def step(told: Told) -> None:
        made = [
            events.new(
                events.prediction(identity, model, f"{model}/{version}"),
                occurred_at=at,
                personal=personal,
            )
            for identity, version, at in rows
        ]
        told.append(f"predictions-{model}", *made)
        told.predictions += made

    return step


def labelling(which: list[int], personal: bool) -> Step:
    """Outcomes of earlier predictions, and one of a prediction that nobody made."""

    def step(told: Told) -> None:
        told.append("observations-cars", events.new(events.outcome(new_id())))
        for number in which if told.predictions else ():
            made = told.predictions[number % len(told.predictions)]
            assert isinstance(made.event, PredictionMade)
            said = events.outcome(made.id, made.event.identity, made.event.model)
            told.append(f"observations-{said.model}", events.new(said, personal=personal))

    return step


def observing(model: str, rows: list[tuple[str, float | None]], personal: bool) -> Step:
    def step(told: Told) -> None:
        seen = [
            events.new(events.observation(identity, model, price), personal=personal)
            for identity, price in rows
        ]
        told.append(f"observations-{model}", *seen)

    return step


def erasing(model: str, which: int, whole: bool) -> Step:
    """All that can be erased of one row, or of that the last entry alone."""

    def step(told: Told) -> None:
        with told.ledger.connect() as connection:
            kept = connection.execute(
                select(PAYLOADS.c.position, PAYLOADS.c.identity)
                .where(PAYLOADS.c.model == model)
                .order_by(PAYLOADS.c.position)
            ).all()
        if not kept:
            return
        identity = kept[which % len(kept)].identity
        positions = tuple(each.position for each in kept if each.identity == identity)
        gone = erasure(model=model, entries=positions if whole else positions[-1:])
        events.put(told.ledger, "ledger", gone)
        with told.ledger.writing() as connection:
            delete_erased(connection, gone)

    return step


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        predicting,
        MODELS,
        st.lists(
            st.tuples(IDENTITIES, st.integers(1, 2), st.sampled_from(TIMES)),
            min_size=1,
            max_size=5,
        ),
        PERSONAL,
    ),
    st.builds(labelling, st.lists(st.integers(0, 30), min_size=1, max_size=3), PERSONAL),
    st.builds(
        observing,
        MODELS,
        st.lists(st.tuples(IDENTITIES, st.none() | st.just(8.5)), min_size=1, max_size=3),
        PERSONAL,
    ),
    st.builds(erasing, MODELS, st.integers(0, 30), st.booleans()),
)


def counted(ledger: Ledger) -> Days:
    """What the ledger as it stands gives, entry by entry."""
    there: dict[str, tuple[str, str]] = {}  # prediction id -> its row
    days: dict[tuple[str, str, str], str] = {}  # model, version, identity -> the last one's day
    labelled: set[tuple[str, str]] = set()
    for entry in ledger.read(limit=10_000):
        match entry.event:
            case PredictionMade(model=model, model_version=version, identity=identity):
                there[entry.id] = model, identity
                days[model, version, identity] = entry.occurred_at[:10]
            case ObservationRecorded(model=model, identity=identity, row=row) if "price" in row:
                labelled.add((model, identity))
            case OutcomeRecorded(prediction_id=id) if id in there:
                labelled.add(there[id])
            case _:
                pass  # what is erased is no event of these, nor is what labels nothing
    rows: Counter[tuple[str, str, str]] = Counter()
    late: Counter[tuple[str, str, str]] = Counter()
    for (model, version, identity), day in days.items():
        rows[model, version, day] += 1
        late[model, version, day] += (model, identity) not in labelled
    return [(*key, rows[key], late[key]) for key in sorted(rows)]


def kept(ledger: Ledger) -> Days:
    with ledger.connect() as connection:
        found = connection.execute(select(LABEL_DAYS).order_by(*LABEL_DAYS.primary_key.columns))
        return [(model, version, day, rows, late) for model, version, day, rows, late in found]


@pytest.fixture
def small_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few entries in a zone that an erasure reaches one of several."""
    monkeypatch.setattr(zones, "ZONE_ENTRIES", 3)


@pytest.mark.usefixtures("small_zones")
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=2, max_size=14), page_entries=st.integers(1, 30))
def test_the_days_say_what_counting_from_scratch_says_and_so_does_every_rebuild(
    fresh: Callable[[], Ledger], steps: list[Step], page_entries: int
) -> None:
    told = Told(fresh())
    for model in ("cars", "vans"):
        events.put(told.ledger, f"model-{model}", events.contract_adopted(model))
    for step in steps:
        step(told)
    assert kept(told.ledger) == counted(told.ledger)
    rebuilt = rebuild(told.ledger, page_entries=page_entries)
    assert rebuilt.differing == ()


def test_a_row_counts_once_a_version_where_its_latest_prediction_puts_it(ledger: Ledger) -> None:
    first, second = "1976-07-01", "1976-07-02"
    for version, day in (("cars/1", first), ("cars/2", first), ("cars/1", second)):
        said = events.prediction("car=1", version=version)
        events.put(ledger, "predictions-cars", said, occurred_at=f"{day}T12:00:00.000000Z")
    assert kept(ledger) == [
        ("cars", "cars/1", second, 1, 1),
        ("cars", "cars/2", first, 1, 1),
    ]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_label_counts_whether_it_came_before_the_prediction_or_after_it(
    ledger: Ledger, before: bool
) -> None:
    events.put(ledger, "model-cars", events.contract_adopted())
    said: list[tuple[str, Event]] = [
        ("observations-cars", events.observation("car=1")),
        ("observations-cars", events.observation("car=2", price=None)),  # no label at all
        ("predictions-cars", events.prediction("car=1")),
        ("predictions-cars", events.prediction("car=2")),
    ]
    for stream, event in said if before else reversed(said):
        events.put(ledger, stream, event)
    assert kept(ledger) == [("cars", "cars/1", events.TIME[:10], 2, 1)]


@pytest.mark.parametrize(
    ("start", "before", "days"),
    [
        ("1976-07-01T00:00:00.000000Z", "1976-07-04T00:00:00.000000Z", 3),
        ("1976-07-01T00:00:00.000001Z", "1976-07-04T00:00:00.000000Z", 2),
        ("1976-07-01T00:00:00.000000Z", "1976-07-03T23:59:59.999999Z", 2),
        ("1976-07-01T12:00:00.000000Z", "1976-07-01T13:00:00.000000Z", 0),
        ("1976-07-04T00:00:00.000000Z", "1976-07-01T00:00:00.000000Z", 0),
        ("1976-06-30T12:00:00.000000Z", "9999-12-31T23:59:59.999999Z", 4),
    ],
)
def test_days_count_that_lie_whole_between_two_times(
    ledger: Ledger, start: str, before: str, days: int
) -> None:
    for day in range(1, 5):
        said = events.prediction(f"car={day}")
        events.put(ledger, "predictions-cars", said, occurred_at=f"1976-07-0{day}T23:00:00.000000Z")
    with ledger.connect() as connection:
        found = rows_in_whole_days(
            connection, "cars", model_version="cars/1", start=start, before=before
        )
    assert found == (days, days)


def test_a_count_that_no_fold_puts_there_is_an_unfit_read_model(ledger: Ledger) -> None:
    events.put(ledger, "predictions-cars", events.prediction())
    with writing_to(ledger, LABEL_DAYS) as connection:
        connection.execute(update(LABEL_DAYS).values(unlabelled=-1))
    with ledger.connect() as connection, pytest.raises(ReadModelUnfit, match="'unlabelled'"):
        rows_in_whole_days(
            connection,
            "cars",
            model_version="cars/1",
            start="0001-01-01T00:00:00.000000Z",
            before="9999-01-01T00:00:00.000000Z",
        )
