from __future__ import annotations

import orjson
import pytest
from msgspec.structs import replace

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, StreamAppend
from app.projections.champions import get_champion
from app.projections.contracts import get_contract
from app.projections.cycles import (
    cycles_since,
    get_cycle,
    list_cycles,
    newest_measured,
    unfinished_cycle,
    unfinished_cycles,
)
from app.projections.cycles_that_count import ModelCounts, model_counts
from app.projections.decisions import get_decision, list_decisions
from app.projections.models import ModelView, get_model, list_models
from app.projections.policies import get_policy, get_policy_document
from domain.errors import UnknownThing
from domain.events.events import Event
from tests import ledger_events as events

LATER = "1977-01-01T00:00:00.000000Z"


def model(ledger: Ledger, name: str = "cars") -> ModelView:
    with ledger.connect() as connection:
        found = get_model(connection, name)
    assert found is not None
    return found


def adopt(ledger: Ledger, name: str = "cars", policy: str = "strict-and") -> None:
    events.put(ledger, f"model-{name}", events.contract_adopted(name, policy))


def cycle(ledger: Ledger, number: int, *steps: Event, as_of: str = events.TIME) -> None:
    events.put(ledger, f"cycle-cars-{number}", events.started(number, as_of=as_of), *steps)


def promote(ledger: Ledger, number: int, replaced: str | None = None) -> None:
    version = f"cars/{number}"
    cycle(
        ledger,
        number,
        events.attempted(),
        events.guarded(),
        events.measured(),
        events.decided("bootstrap" if number == 1 else "retrain"),
        events.merged(40 + number),
        events.trained(version, 40 + number),
        events.parity(),
        events.evaluated(),
        events.compared(),
    )
    promoted = events.promoted(version, f"cars-{number}", replaced=replaced)
    stream = f"cycle-cars-{number}"
    ledger.append(
        [
            StreamAppend("model-cars", (events.new(promoted),), None),
            StreamAppend(stream, (events.new(events.settled(version)),), None),
        ],
        Cause.unauthenticated(new_id()),
    )
    events.put(ledger, stream, events.reported("promoted", version))


def test_a_model_begins_with_its_contract(ledger: Ledger) -> None:
    with ledger.connect() as connection:
        assert get_model(connection, "cars") is None
    adopt(ledger)
    adopt(ledger, "vans", "lenient")
    cars = model(ledger)
    adopted = events.contract_adopted()
    assert orjson.loads(cars.contract) == adopted.contract
    assert (cars.contract_digest, cars.policy, cars.target) == (
        adopted.contract_digest,
        "strict-and",
        "price",
    )
    assert (cars.champion, cars.cycles_started, cars.last_as_of) == (None, 0, None)
    with ledger.connect() as connection:
        assert [view.model for view in list_models(connection)] == ["cars", "vans"]


def test_another_contract_keeps_the_counts_and_the_earlier_contract(ledger: Ledger) -> None:
    adopt(ledger)
    first = model(ledger).contract_digest
    promote(ledger, 1)
    adopt(ledger, policy="lenient")
    cars = model(ledger)
    assert (cars.policy, cars.champion, cars.cycles_started) == ("lenient", "cars/1", 1)
    with ledger.connect() as connection:
        assert get_contract(connection, first)["policy"] == "strict-and"
        assert get_contract(connection, cars.contract_digest)["policy"] == "lenient"
        with pytest.raises(UnknownThing, match="no contract with digest ffff"):
            get_contract(connection, "ffff")


def test_a_promotion_says_who_serves_since_when_and_from_what(ledger: Ledger) -> None:
    adopt(ledger)
    promote(ledger, 1)
    cars = model(ledger)
    assert (cars.champion, cars.champion_cycle, cars.champion_as_of) == (
        "cars/1",
        "cars-1",
        events.TIME,
    )
    assert cars.plan_sha256 == events.promoted("cars/1", "cars-1").plan_sha256
    assert cars.promoted_position is not None
    assert cars.champion_since == ledger.entry(cars.promoted_position).recorded_at
    assert (cars.promotions, cars.trainings, cars.candidates, cars.decisions) == (1, 1, 1, 1)
    assert (cars.consumed_until, cars.last_retraining_as_of) == (41, events.TIME)
    assert orjson.loads(cars.health or "")["conclusion"] == "promoted"
    with ledger.connect() as connection:
        champion = get_champion(connection, "cars", "cars/1")
    assert (champion.training_rows, champion.trained_from, champion.replaced) == (
        80,
        "1971-07-01T00:00:00.000000Z",
        None,
    )


def test_a_rollback_brings_the_earlier_version_back_with_its_origin(ledger: Ledger) -> None:
    adopt(ledger)
    promote(ledger, 1)
    promote(ledger, 2, replaced="cars/1")
    events.put(ledger, "model-cars", events.rolled_back("cars/1", "cars/2"))
    cars = model(ledger)
    assert (cars.champion, cars.champion_cycle) == ("cars/1", "cars-1")
    assert (cars.promotions, cars.rollbacks) == (2, 1)
    with ledger.connect() as connection:
        assert get_champion(connection, "cars", "cars/2").replaced == "cars/1"
        with pytest.raises(UnknownThing, match="'cars/9' never was champion of 'cars'"):
            get_champion(connection, "cars", "cars/9")


def test_a_rejected_candidate_consumes_its_samples_and_a_failed_training_does_not(
    ledger: Ledger,
) -> None:
    adopt(ledger)
    promote(ledger, 1)
    retrained = (events.decided(), events.merged(60))
    cycle(ledger, 2, *retrained, events.training_failed(), events.reported("failed"))
    assert model(ledger).consumed_until == 41
    rejected = (events.trained("cars/3", 60), events.parity(), events.evaluated(passed=False))
    cycle(ledger, 3, *retrained, *rejected, events.reported("rejected"), as_of=LATER)
    cars = model(ledger)
    assert (cars.consumed_until, cars.rejections, cars.trainings, cars.candidates) == (60, 1, 3, 2)
    assert cars.champion == "cars/1"
    assert (cars.cycles_started, cars.cycles_ended) == (3, 3)
    with ledger.connect() as connection:
        completed = {
            view.number: view.training_completed for view in list_cycles(connection, "cars")
        }
    assert completed == {3: True, 2: False, 1: True}


@pytest.mark.parametrize("aside", [(), (1,), (2, 3), (4, 5, 6), (1, 2, 3, 4, 5, 6)], ids=str)
def test_a_model_counts_its_cycles_but_for_those_set_aside(
    ledger: Ledger, aside: tuple[int, ...]
) -> None:
    adopt(ledger)
    promote(ledger, 1)
    cycle(ledger, 2, events.halted(), events.reported("halted"))
    cycle(ledger, 3, events.not_decided(), events.reported("not decided"))
    cycle(ledger, 4, events.decided(), events.merged(60), events.gave_up())
    judged = (events.decided(), events.merged(60), events.trained("cars/5", 60))
    cycle(ledger, 5, *judged, events.parity(passed=False), events.reported("rejected"))
    cycle(ledger, 6, events.decided("keep: no drift"), events.reported("kept"))
    by = replace(events.started(7), sets_aside=tuple(f"cars-{number}" for number in aside))
    events.put(ledger, "cycle-cars-7", by)
    with ledger.connect() as connection:
        found = model_counts(connection, model(ledger))
    there = {1, 2, 3, 4, 5, 6} - set(aside)
    assert found == ModelCounts(
        cycles=len(there),
        decisions=len(there & {1, 4, 5, 6}),
        trainings=len(there & {1, 4, 5}),
        promotions=len(there & {1}),
        rejections=len(there & {5}),
        halted=len(there & {2}),
        failed=len(there & {4}),
        undecided=len(there & {3}),
        set_aside=len(aside),
    )


def test_the_newest_cycle_that_measured_for_a_champion_is_found_among_the_last(
    ledger: Ledger,
) -> None:
    adopt(ledger)
    for number, champion in ((1, "cars/1"), (2, "cars/1"), (3, "cars/2"), (4, "cars/1")):
        events.put(ledger, f"cycle-cars-{number}", events.started(number, champion=champion))
        step = events.halted() if number == 4 else events.measured()
        events.put(ledger, f"cycle-cars-{number}", step)
    with ledger.connect() as connection:

        def newest(champion: str, after_number: int = 0) -> str | None:
            view = newest_measured(connection, "cars", champion, after_number=after_number)
            return None if view is None else view.cycle

        assert [newest("cars/1"), newest("cars/2"), newest("cars/3")] == ["cars-2", "cars-3", None]
        assert newest("cars/1", after_number=2) is None
    setting = replace(events.started(5), sets_aside=("cars-2",))
    events.put(ledger, "cycle-cars-5", setting)
    with ledger.connect() as connection:
        view = newest_measured(connection, "cars", "cars/1", after_number=0)
    assert view is not None
    assert view.cycle == "cars-1"


def test_an_open_cycle_is_found_until_it_ends(ledger: Ledger) -> None:
    adopt(ledger)
    cycle(ledger, 1, events.attempted(), events.guarded(), events.attempted(2))
    with ledger.connect() as connection:
        found = unfinished_cycle(connection, "cars")
        assert [view.cycle for view in unfinished_cycles(connection)] == ["cars-1"]
    assert found is not None
    assert (found.status, found.attempts, found.conclusion) == ("open", 2, None)
    assert set(found.state) == {"cycle.started", "cycle.attempt-started", "cycle.window-guarded"}
    assert found.state["cycle.window-guarded"]["left_out"] == {"made by another version": 2}
    events.put(ledger, "cycle-cars-1", events.gave_up())
    with ledger.connect() as connection:
        assert unfinished_cycle(connection, "cars") is None
        assert unfinished_cycles(connection) == []
        ended = get_cycle(connection, "cars-1")
    assert (ended.status, ended.conclusion, ended.ended_position) == ("ended", "failed", 6)


def test_cycles_are_listed_newest_first_by_number(ledger: Ledger) -> None:
    adopt(ledger)
    for number in range(1, 12):
        cycle(ledger, number, events.halted(), events.reported("halted"))
    with ledger.connect() as connection:
        assert [view.number for view in list_cycles(connection, "cars", limit=3)] == [11, 10, 9]
        older = list_cycles(connection, "cars", before_number=9, limit=2)
        assert [view.number for view in older] == [8, 7]
        assert list_cycles(connection, "vans") == []
        with pytest.raises(UnknownThing, match="cycle 'cars-99' does not exist"):
            get_cycle(connection, "cars-99")


def test_decisions_are_filtered_and_paged_both_ways(ledger: Ledger) -> None:
    adopt(ledger)
    cycle(ledger, 1, events.decided("bootstrap"))
    cycle(ledger, 2, events.decided("keep: no drift"), as_of=LATER)
    cycle(ledger, 3, events.not_decided(), as_of=LATER)
    with ledger.connect() as connection:
        found = list_decisions(connection)
        assert [view.outcome for view in found] == [
            "not decided",
            "keep: no drift",
            "bootstrap",
        ]
        assert [view.cycle for view in list_decisions(connection, since=LATER)] == [
            "cars-3",
            "cars-2",
        ]
        assert [view.cycle for view in list_decisions(connection, until=LATER)] == ["cars-1"]
        assert [v.cycle for v in list_decisions(connection, outcome="bootstrap")] == ["cars-1"]
        assert list_decisions(connection, model="vans") == []
        older = list_decisions(connection, before=found[0].position, limit=1)
        assert older == [found[1]]
        assert list_decisions(connection, after=-1) == found[::-1]
        decision = get_decision(connection, found[1].id)
        with pytest.raises(UnknownThing, match="decision 'nothing' does not exist"):
            get_decision(connection, "nothing")
    assert decision.as_of == LATER
    assert decision.sentence == "KEEP: NO DRIFT"
    assert orjson.loads(decision.body)["verdict"]["facts"] == {"new_samples": 60, "psi_max": None}
    assert ledger.entry(decision.position).id == decision.id


def test_of_a_policy_the_latest_adoption_is_in_force_and_every_document_stays(
    ledger: Ledger,
) -> None:
    first, second = events.policy_adopted(version=1), events.policy_adopted(version=2)
    events.put(ledger, "policy-strict-and", first)
    events.put(ledger, "policy-strict-and", second)
    with ledger.connect() as connection:
        in_force = get_policy(connection, "strict-and")
        assert get_policy_document(connection, first.policy_digest) == first.document
        assert get_policy(connection, "nothing") is None
        with pytest.raises(UnknownThing, match="no policy with digest ffff"):
            get_policy_document(connection, "ffff")
    assert in_force is not None
    assert (in_force.version, in_force.digest) == (2, second.policy_digest)
    events.put(ledger, "policy-strict-and", first)
    with ledger.connect() as connection:
        again = get_policy(connection, "strict-and")
        assert get_policy_document(connection, second.policy_digest) == second.document
    assert again is not None
    assert again.version == 1


def test_a_step_of_a_cycle_nobody_started_changes_no_read_model(ledger: Ledger) -> None:
    adopt(ledger)
    before = model(ledger)
    events.put(ledger, "cycle-cars-7", events.decided(), events.parity(False), events.gave_up())
    assert model(ledger) == before
    with ledger.connect() as connection:
        assert list_decisions(connection) == []


def test_the_cycles_since_a_position_come_oldest_first_from_the_last_before_it_on(
    ledger: Ledger,
) -> None:
    for number in range(1, 26):  # more than are held at a time
        cycle(ledger, number)
    with ledger.connect() as connection:
        at = {n: get_cycle(connection, f"cars-{n}").started_position for n in (3, 4, 25)}

        def numbers(since: int, before: int) -> list[int]:
            found = cycles_since(connection, "cars", since=since, before=before)
            return [each.number for each in found]

        assert numbers(at[4], at[25] + 1) == list(range(3, 26))
        assert numbers(at[4], at[25]) == list(range(3, 25))
        assert numbers(0, at[4]) == [1, 2, 3], "none started before it"
        assert list(cycles_since(connection, "vans", since=at[4], before=at[25])) == []
