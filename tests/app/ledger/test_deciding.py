"""Read, fold, decide, append: what becomes of lost races, refusals and checks."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from app.cause import Cause
from app.ledger.deciding import TRIES, Decision, Look, decide, decide_under_lock, folded
from app.ledger.reading import read_stream
from app.ledger.store import Connection, Ledger, StreamHistory
from app.projections.opening import open_ledger
from app.projections.policies import get_policy
from app.settings import Settings
from domain.decisions import lifecycle, policy
from domain.decisions.lifecycle import Champion, PromoteCandidate
from domain.decisions.policy import Adopted, AdoptPolicy
from domain.errors import LedgerBusy, PolicyInvalid, VersionConflict
from domain.events.events import Event, PolicyAdopted
from tests.app.car_ledger import types_of
from tests.app.cycle.interrupted import Interrupted
from tests.ledger_events import (
    TIME,
    attempted,
    contract_adopted,
    policy_adopted,
    promoted,
    put,
    started,
)
from tests.plausible import SHA

STREAM = "policy-strict-and"
CAUSE = Cause("somebody", "asked", causation_id="before")
PROMOTE = PromoteCandidate(
    model="cars",
    candidate=Champion(
        model_version="cars/1",
        plan_sha256=SHA,
        reference_sha256=SHA,
        trained_until=TIME,
        registry_run=None,
    ),
    compared_with=None,
    serves=None,
    cycle="cars-1",
    as_of=TIME,
)


def asks_for(event: PolicyAdopted) -> AdoptPolicy:
    return AdoptPolicy(
        policy=event.policy,
        policy_version=event.policy_version,
        document=event.document,
        policy_digest=event.policy_digest,
    )


def adopt(ledger: Ledger, version: int) -> Decision[Adopted]:
    command = asks_for(policy_adopted(version=version))
    return decide(ledger, folded(STREAM, policy.fold), policy.adopt_policy, command, CAUSE)


def settle(ledger: Ledger, cycle: StreamHistory, command: PromoteCandidate = PROMOTE) -> None:
    look = folded("model-cars", lifecycle.fold)
    decide(ledger, look, lifecycle.settle, command, CAUSE, occurred_at=lambda _: TIME, beside=cycle)


def versions(ledger: Ledger) -> list[int]:
    adopted = policy.fold(entry.event for entry in ledger.read_stream(STREAM).entries)
    return [event.policy_version for event in adopted]


def test_what_was_decided_is_recorded_with_its_cause_after_what_it_was_decided_on(
    ledger: Ledger,
) -> None:
    put(ledger, STREAM, policy_adopted(version=1))
    decision = adopt(ledger, 2)
    (entry,) = decision.recorded
    assert (entry.stream, entry.stream_version, entry.event) == (
        STREAM,
        1,
        policy_adopted(version=2),
    )
    assert (entry.actor, entry.correlation_id, entry.causation_id) == (
        "somebody",
        "asked",
        "before",
    )
    assert decision.state == (policy_adopted(version=1),)
    assert (decision.history.version, len(decision.history.entries)) == (0, 1)
    assert ledger.entry(entry.position) == entry


def test_when_nothing_has_to_change_nothing_is_recorded(ledger: Ledger) -> None:
    adopt(ledger, 1)
    size = ledger.size()
    assert adopt(ledger, 1).recorded == ()
    assert ledger.size() == size


def test_a_refusal_records_nothing(ledger: Ledger) -> None:
    adopt(ledger, 1)
    other = asks_for(replace(policy_adopted(version=1), policy_digest="0" * 64))
    with pytest.raises(PolicyInvalid, match="Give this one version 2"):
        decide(ledger, folded(STREAM, policy.fold), policy.adopt_policy, other, CAUSE)
    assert versions(ledger) == [1]


def test_who_lost_a_race_decides_again_on_what_happened_meanwhile(ledger: Ledger) -> None:
    meddled = Interrupted(ledger, before="policy.adopted", then=lambda: adopt(ledger, 2))
    decision = adopt(meddled, 3)
    assert versions(ledger) == [2, 3]
    assert decision.state == (policy_adopted(version=2),)
    assert decision.recorded[0].stream_version == 1


def test_who_lost_a_race_may_find_that_nothing_is_left_to_do(ledger: Ledger) -> None:
    meddled = Interrupted(ledger, before="policy.adopted", then=lambda: adopt(ledger, 1))
    assert adopt(meddled, 1).recorded == ()
    assert versions(ledger) == [1]


def test_who_lost_two_races_may_win_the_third(ledger: Ledger) -> None:
    numbers = iter((1, 2))
    meddled = Interrupted(
        ledger, before="policy.adopted", then=lambda: adopt(ledger, next(numbers)), times=2
    )
    adopt(meddled, 9)
    assert versions(ledger) == [1, 2, 9]


def test_who_is_always_too_late_is_told_so_at_the_third_time(ledger: Ledger) -> None:
    numbers = iter(range(1, 9))
    meddled = Interrupted(
        ledger, before="policy.adopted", then=lambda: adopt(ledger, next(numbers)), times=TRIES
    )
    with pytest.raises(VersionConflict, match=f"stream '{STREAM}' is at version 2, not 1"):
        adopt(meddled, 9)
    assert versions(ledger) == [1, 2, 3]
    assert adopt(meddled, 9).recorded, "nobody is quicker any more"


def test_what_is_decided_for_two_streams_is_one_transaction(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    settle(ledger, ledger.read_stream("cycle-cars-1"))
    last = ledger.read(after=ledger.size() - 3)
    assert [(entry.stream, entry.event.type) for entry in last] == [
        ("model-cars", "model.candidate-promoted"),
        ("cycle-cars-1", "cycle.promotion-settled"),
    ]
    assert {entry.occurred_at for entry in last} == {TIME}
    assert len({entry.recorded_at for entry in last}) == 1


def test_a_decision_may_be_for_the_other_stream_alone(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted(), promoted("cars/7", "cars-7"))
    put(ledger, "cycle-cars-1", started(1))
    settle(ledger, ledger.read_stream("cycle-cars-1"))
    assert types_of(ledger, "model-cars")[-1] == "model.candidate-promoted"
    assert ledger.read_stream("model-cars").version == 1
    assert types_of(ledger, "cycle-cars-1") == ["cycle.started", "cycle.promotion-settled"]


def test_a_race_lost_in_the_other_stream_is_not_tried_again(ledger: Ledger) -> None:
    put(ledger, "model-cars", contract_adopted())
    put(ledger, "cycle-cars-1", started(1))
    cycle = ledger.read_stream("cycle-cars-1")
    happened: list[str] = []

    def go_on() -> None:
        happened.append("once")
        put(ledger, "cycle-cars-1", attempted())

    meddled = Interrupted(ledger, before="cycle.promotion-settled", then=go_on, times=TRIES)
    with pytest.raises(VersionConflict, match="stream 'cycle-cars-1' is at version 1, not 0"):
        settle(meddled, cycle)
    assert happened == ["once"]
    assert types_of(ledger, "model-cars") == ["model.contract-adopted"]


def test_a_check_sees_what_was_decided_and_may_undo_it(ledger: Ledger) -> None:
    seen: list[Event] = []

    def refuse(events: Sequence[Event], connection: Connection) -> None:
        assert get_policy(connection, "strict-and") is None, "it looks before anything is there"
        seen.extend(events)
        raise LookupError("the plan does not load")

    event = policy_adopted()
    look = folded(STREAM, policy.fold)
    with pytest.raises(LookupError, match="does not load"):
        decide(ledger, look, policy.adopt_policy, asks_for(event), CAUSE, check=refuse)
    assert (seen, versions(ledger)) == ([event], [])


def test_under_the_lock_what_follows_is_done_in_the_same_transaction(ledger: Ledger) -> None:
    look = folded(STREAM, policy.fold)
    event = policy_adopted()
    followed: list[Event] = []

    def follow(events: Sequence[Event], connection: Connection) -> None:
        assert read_stream(connection, STREAM).version == 0, "it is there already"
        followed.extend(events)

    def fail(events: Sequence[Event], connection: Connection) -> None:
        follow(events, connection)
        raise LookupError("not allowed")

    command = asks_for(event)
    with pytest.raises(LookupError, match="not allowed"):
        decide_under_lock(ledger, look, policy.adopt_policy, command, CAUSE, then=fail)
    assert (followed, versions(ledger)) == ([event], [])
    found = decide_under_lock(ledger, look, policy.adopt_policy, command, CAUSE, then=follow)
    assert (found.recorded[0].event, found.recorded[0].actor) == (event, "somebody")
    again = decide_under_lock(ledger, look, policy.adopt_policy, command, CAUSE, then=fail)
    assert (again.recorded, followed) == ((), [event, event])
    with ledger.connect() as connection:
        assert get_policy(connection, "strict-and") is not None


def test_while_it_is_looked_at_under_the_lock_nobody_appends(
    ledger: Ledger, settings: Settings
) -> None:
    other = open_ledger(settings.model_copy(update={"busy_timeout_seconds": 0.1}))

    def look(connection: Connection) -> tuple[Adopted, StreamHistory]:
        with pytest.raises(LedgerBusy):
            adopt(other, 2)
        return folded(STREAM, policy.fold).at(connection)

    decide_under_lock(
        ledger,
        Look(look),
        policy.adopt_policy,
        asks_for(policy_adopted()),
        CAUSE,
        then=lambda events, connection: None,
    )
    other.close()
    assert versions(ledger) == [1]
