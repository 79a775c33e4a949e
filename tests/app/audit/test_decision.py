"""Decisions are found by their id and within bounds, and know the end of their cool-down."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app.audit.decision import decision, decisions
from app.ledger.store import Ledger
from domain.errors import UnknownThing
from domain.events.cycle_events import Decided
from rules.facts import RETRAINING_FACT
from tests.app.web.car_figures import clause
from tests.app.web.car_story import LAST_YEAR, MODEL, car_story, record, time


@pytest.fixture
def told(ledger: Ledger) -> Ledger:
    record(ledger, car_story())
    return ledger


def test_a_decision_is_the_same_alone_and_in_a_list(told: Ledger) -> None:
    with told.connect() as connection:
        newest = decisions(connection, model=MODEL, limit=1)[0]

        assert decision(connection, newest.id) == newest
        assert newest.as_of == time(LAST_YEAR + 1)


def test_decisions_come_newest_first_or_onwards_from_a_position(told: Ledger) -> None:
    with told.connect() as connection:
        newest_first = decisions(connection)
        oldest_first = decisions(connection, after=-1)
        between = decisions(connection, since=time(1978), until=time(1980), outcome="retrain")
        before = decisions(connection, before=newest_first[3].position, limit=1)

    assert newest_first == oldest_first[::-1]
    assert {each.outcome for each in between} <= {"retrain"}
    assert all(time(1978) <= each.as_of < time(1980) for each in between)
    assert before == [newest_first[4]]


def test_an_unknown_decision_is_refused(told: Ledger) -> None:
    with told.connect() as connection, pytest.raises(UnknownThing, match="does not exist"):
        decision(connection, "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21")


def test_a_decision_to_retrain_begins_the_cool_down_anew(told: Ledger) -> None:
    with told.connect() as connection:
        retrained = decisions(connection, outcome="retrain", limit=1)[0]

    assert retrained.earliest_retraining == retrained.as_of.replace("-01-01T", "-01-02T")


def test_a_cool_down_that_is_over_holds_nothing_back(told: Ledger) -> None:
    with told.connect() as connection:
        kept = decisions(connection, outcome="keep: rules not met")

    assert {each.clauses[3].verdict for each in kept} == {"met"}
    assert {each.earliest_retraining for each in kept} == {None}


def test_a_cool_down_that_held_back_ends_after_what_was_left_of_it(sqlite_ledger: Ledger) -> None:
    story = car_story()
    kept = next(
        each
        for each in reversed(story.events)
        if isinstance(each.event, Decided) and each.event.outcome == "keep: rules not met"
    )
    assert isinstance(kept.event, Decided)
    *others, _ = kept.event.verdict.clauses
    rested = clause("cool_down", RETRAINING_FACT, "cool-down", ">", 24.0, 20.5, "h")
    verdict = replace(kept.event.verdict, clauses=(*others, rested))
    kept.event = replace(kept.event, verdict=verdict)
    record(sqlite_ledger, story)

    with sqlite_ledger.connect() as connection:
        found = next(d for d in decisions(connection) if d.clauses[3].observed == 20.5)

    assert found.earliest_retraining == found.as_of.replace("T00:00", "T03:30")
