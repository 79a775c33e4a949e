"""Whatever happened, and however it was cut into batches, a rebuild comes to the same digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count, islice

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, update

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.projections.cycles import CYCLES, get_cycle
from app.projections.folding import digests
from app.projections.keeping import Keeping
from app.projections.labels import LABELS
from app.projections.models import MODELS as MODELS_TABLE
from app.projections.opening import open_ledger
from app.projections.positions import POSITIONS
from app.projections.read_model import ReadModel, put, tables_of
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS
from app.projections.rows import ROWS
from app.projections.runner import READ_MODELS, apply
from app.settings import Settings
from domain.canonical import sha256_hex
from domain.events.cycle_events import Conclusion, Outcome
from domain.events.events import Event
from tests import ledger_events as events
from tests.app.behind_the_service import writing_to
from tests.told import ToldOnce, retold

MODELS = st.sampled_from(["cars", "vans"])
IDENTITIES = st.sampled_from([f"car={number}" for number in range(6)])
ENDINGS = st.sampled_from(
    [
        *("kept", "promoted", "rejected by parity", "rejected", "lost the race"),
        *("halted", "not decided", "training failed", "cut off", "open"),
    ]
)


class Story:
    """A plausible history, event by event: (stream, events appended together)."""

    def __init__(self) -> None:
        self.appends: list[list[StreamAppend]] = []
        self.predictions: list[tuple[str, str, str]] = []  # id, identity, model
        self.numbers = {"cars": count(1), "vans": count(1)}
        self.champions: dict[str, list[str]] = {"cars": [], "vans": []}

    def put(self, stream: str, *new: Event, **how: str) -> list[NewEvent]:
        made = [events.new(event, **how) for event in new]
        self.appends.append([StreamAppend(stream, tuple(made), None)])
        return made

    def predict(self, model: str, identities: list[str]) -> None:
        version = (self.champions[model] or [f"{model}/0"])[-1]
        made = self.put(
            f"predictions-{model}",
            *(events.prediction(identity, model, version) for identity in identities),
        )
        self.predictions += [
            (new.id, identity, model) for new, identity in zip(made, identities, strict=True)
        ]

    def come_out(self, which: int, label: float) -> None:
        """An outcome of an earlier prediction, or of one that was never made."""
        id, identity, model = (
            self.predictions[which % len(self.predictions)]
            if self.predictions
            else (new_id(), "car=0", "cars")
        )
        self.put(f"observations-{model}", events.outcome(id, identity, model, label))

    def roll_back(self, model: str) -> None:
        if len(self.champions[model]) > 1:
            to, replaced = self.champions[model][-2:]
            self.champions[model].append(to)
            self.put(f"model-{model}", events.rolled_back(to, replaced, model))

    def cycle(self, model: str, ending: str) -> None:
        number = next(self.numbers[model])
        stream, version = f"cycle-{model}-{number}", f"{model}/{number}"
        champion = self.champions[model][-1] if self.champions[model] else None
        self.put(stream, events.started(number, model, champion))
        self.put(stream, events.attempted())
        for steps in self._steps(ending, version, number):
            self.put(stream, *steps)
        if ending == "promoted":
            self.champions[model].append(version)
            self.appends.append(
                [
                    StreamAppend(
                        f"model-{model}",
                        (
                            events.new(
                                events.promoted(version, f"{model}-{number}", model, champion)
                            ),
                        ),
                        None,
                    ),
                    StreamAppend(stream, (events.new(events.settled(version)),), None),
                ]
            )
        conclusions: dict[str, Conclusion] = {
            "kept": "kept",
            "promoted": "promoted",
            "halted": "halted",
            "not decided": "not decided",
            "training failed": "failed",
        }
        if ending == "cut off":
            self.put(stream, events.attempted(2), events.attempted(3), events.gave_up())
        elif ending != "open":
            self.put(stream, events.reported(conclusions.get(ending, "rejected"), champion))

    def _steps(self, ending: str, version: str, number: int) -> Iterator[tuple[Event, ...]]:
        if ending == "halted":
            yield (events.halted(),)
            return
        yield events.guarded(), events.measured()
        if ending == "not decided":
            yield (events.not_decided(),)
            return
        kept: Outcome = "keep: no drift"
        retrained: Outcome = "bootstrap" if number == 1 else "retrain"
        yield (events.decided(kept if ending == "kept" else retrained),)
        if ending in ("kept", "open"):
            return
        yield (events.merged(10 * number),)
        if ending == "training failed":
            yield (events.training_failed(),)
            return
        yield (events.trained(version, 10 * number),)
        if ending == "cut off":
            return
        yield (events.parity(ending != "rejected by parity"),)
        if ending == "rejected by parity":
            return
        yield events.evaluated(), events.compared(ending != "rejected")
        if ending == "lost the race":
            yield (events.settled(version, promoted=False),)


STEPS: st.SearchStrategy[Callable[[Story], object]] = st.one_of(
    st.builds(
        lambda model, policy: (
            lambda story: story.put(f"model-{model}", events.contract_adopted(model, policy))
        ),
        MODELS,
        st.sampled_from(["strict-and", "lenient"]),
    ),
    st.builds(
        lambda id, version: (
            lambda story: story.put(f"policy-{id}", events.policy_adopted(id, version))
        ),
        st.sampled_from(["strict-and", "lenient"]),
        st.integers(1, 3),
    ),
    st.builds(
        lambda model, identities: lambda story: story.predict(model, identities),
        MODELS,
        st.lists(IDENTITIES, min_size=1, max_size=5),
    ),
    st.builds(
        lambda which, label: lambda story: story.come_out(which, label),
        st.integers(0, 50),
        st.floats(0.5, 500),
    ),
    st.builds(
        lambda model, identity, price: (
            lambda story: story.put(
                f"observations-{model}",
                events.observation(identity, model, price),
                events.refused(3, model),
                events.received(model),
            )
        ),
        MODELS,
        IDENTITIES,
        st.none() | st.floats(0.5, 500) | st.just(8.0),
    ),
    st.builds(lambda model, ending: lambda story: story.cycle(model, ending), MODELS, ENDINGS),
    st.builds(lambda model: lambda story: story.roll_back(model), MODELS),
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=3, max_size=25), page_entries=st.integers(1, 40))
def test_a_rebuild_comes_to_the_digests_that_the_appends_came_to(
    fresh: Callable[[], Ledger],
    steps: list[Callable[[Story], object]],
    page_entries: int,
) -> None:
    story = Story()
    for step in steps:
        step(story)
    ledger = fresh()
    for appends in story.appends:
        ledger.append(appends, Cause.unauthenticated(new_id()))
    rebuilt = rebuild(ledger, page_entries=page_entries)
    assert rebuilt.differing == ()
    assert rebuilt.before == rebuilt.after
    assert rebuilt.position == ledger.size() - 1
    ledger.close()


def every_ending() -> Story:
    story = Story()
    story.put("policy-strict-and", events.policy_adopted())
    for model in ("cars", "vans"):
        story.put(f"model-{model}", events.contract_adopted(model))
        for ending in ("promoted", "kept", "rejected", "promoted", "halted", "cut off", "open"):
            story.predict(model, ["car=1", "car=2", "car=1"])
            story.come_out(len(story.predictions), 8.5)
            story.put(
                f"observations-{model}",
                events.observation(model=model),
                events.refused(3, model),
                events.received(model),
            )
            story.cycle(model, ending)
        story.roll_back(model)
    return story


def tell(ledger: Ledger, _: Settings) -> None:
    for appends in every_ending().appends:
        ledger.append(appends, Cause.unauthenticated(new_id()))


@pytest.fixture
def full(settings: Settings, told_once: ToldOnce) -> Iterator[Ledger]:
    """A ledger of the test's own in which all that happened stands and is folded."""
    opened = open_ledger(retold(told_once(tell, settings), settings))
    yield opened
    opened.close()


def test_both_databases_come_to_the_same_digests(
    sqlite_ledger: Ledger, fresh_postgres: Callable[[bool], str]
) -> None:
    postgres = open_ledger(Settings(database_url=fresh_postgres(True)))
    story = every_ending()
    found = []
    for ledger in (sqlite_ledger, postgres):
        for appends in story.appends:
            ledger.append(appends, Cause.unauthenticated("c"), recorded_at=events.TIME)
        with ledger.connect() as connection:
            found.append(digests(connection, READ_MODELS))
    assert found[0] == found[1]
    assert len(set(found[0].values())) == len(found[0])
    assert sha256_hex(b"") not in found[0].values(), "none of them is empty"
    postgres.close()


def test_steps_of_cycles_that_alternate_and_come_twice_are_told_alike_in_one_page(
    ledger: Ledger,
) -> None:
    """Given two models' cycles whose steps come by turns, one of them twice (a training tried
    again): folded one by one, and then all in one page."""
    for model in ("cars", "vans"):
        events.put(ledger, f"model-{model}", events.contract_adopted(model))
        events.put(ledger, f"cycle-{model}-1", events.started(1, model))
    for step in (events.attempted(), events.guarded(), events.attempted(2), events.halted()):
        for model in ("cars", "vans"):
            events.put(ledger, f"cycle-{model}-1", step)

    rebuilt = rebuild(ledger)

    assert rebuilt.differing == ()
    with ledger.connect() as connection:
        for cycle in ("cars-1", "vans-1"):
            view = get_cycle(connection, cycle)
            assert view.attempts == 2
            assert list(view.state) == sorted(view.state)
            assert view.state["cycle.attempt-started"]["attempt"] == 2


def test_a_read_model_that_was_tampered_with_is_named_and_mended(full: Ledger) -> None:
    with full.writing() as connection:
        connection.execute(update(MODELS_TABLE).values(champion="cars/99"))
    with writing_to(full, LABELS) as connection:
        connection.execute(delete(LABELS))
    assert rebuild(full).differing == (MODELS_TABLE.name, LABELS.name)
    assert rebuild(full).differing == ()


def test_a_rebuild_that_is_cut_off_leaves_everything_as_it_was(full: Ledger) -> None:
    with full.connect() as connection:
        before = digests(connection, READ_MODELS)

    def give_up(done: int, of: int) -> None:
        if done > of / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(full, give_up, page_entries=10)
    with full.connect() as connection:
        assert digests(connection, READ_MODELS) == before


def test_a_rebuild_says_how_far_it_is(ledger: Ledger) -> None:
    events.put(ledger, "observations-cars", *[events.refused()] * 24)
    said: list[tuple[int, int]] = []
    rebuild(ledger, lambda done, of: said.append((done, of)), page_entries=10)
    assert said == [(10, 25), (20, 25), (25, 25)]


def test_appends_go_on_while_a_rebuild_runs_and_are_in_what_it_puts_right(
    settings: Settings, ledger: Ledger
) -> None:
    events.put(ledger, "observations-cars", events.refused())
    with ledger.writing() as connection:
        connection.execute(delete(REFUSALS))
    other = open_ledger(settings)

    meanwhile = iter([events.refused(), events.refused()])  # before the comparison, and after

    def append(done: int, of: int) -> None:
        for event in islice(meanwhile, 1):
            events.put(other, "observations-cars", event)

    found = rebuild(ledger, append)
    other.close()
    assert (found.position, found.differing) == (2, (REFUSALS.name,))
    assert ledger.size() == found.position + 2
    assert rebuild(ledger).differing == ()


@pytest.mark.parametrize(
    ("read_model", "table"),
    [(each, table) for each in READ_MODELS for table in each.tables],
    ids=lambda each: each.name,
)
def test_each_read_model_comes_out_the_same_alone(
    full: Ledger, settings: Settings, read_model: ReadModel, table: Table
) -> None:
    with full.connect() as connection:
        together = digests(connection, [read_model])
    with writing_to(full, table) as connection:  # as if only this one were missing
        table.drop(connection)
    alone = open_ledger(settings, keeping=apply if read_model is ROWS else Keeping([read_model]))
    with alone.connect() as connection:
        assert digests(connection, [read_model]) == together
    alone.close()


@pytest.mark.parametrize("table", [CYCLES.name, "read_model_positions"])
def test_what_somebody_changed_in_the_read_models_is_put_right_by_a_rebuild(
    ledger: Ledger, settings: Settings, table: str
) -> None:
    events.put(ledger, "cycle-cars-1", events.started(1))
    right = rebuild(ledger).after
    with ledger.writing() as connection:
        if table == CYCLES.name:  # it is gone, and its position says that all is folded
            CYCLES.drop(connection)
        else:  # the rows stand, and their position says that some are missing
            connection.execute(update(POSITIONS).values(position=0))
    ledger.close()

    again = open_ledger(settings)
    found = rebuild(again)
    assert found.after == right
    assert found.differing == ((CYCLES.name,) if table == CYCLES.name else ())
    assert rebuild(again).differing == ()
    again.close()


def test_tables_folded_together_begin_anew_together_where_one_is_behind(
    full: Ledger, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    (last,) = events.put(full, "predictions-cars", events.prediction("car=9"))
    right = rebuild(full).after
    others = [str(table.name) for table in tables_of([ROWS]) if table is not LABELS]
    with writing_to(full, LABELS) as connection:
        connection.execute(delete(POSITIONS))
        for names, position in ((others, last.position), ([LABELS.name], last.position - 1)):
            put(connection, POSITIONS, {"read_models": " ".join(names), "position": position})
    full.close()

    again = open_ledger(settings)
    found = rebuild(again)
    again.close()
    assert (found.before, found.differing) == (right, ())
    assert caplog.messages == [], "no entry was folded a second time"
