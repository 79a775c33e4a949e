"""When a cycle starts, is attempted and is given up, told as given, when, then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from domain.contract.contract import DriftWindow
from domain.decisions.starting import BeginAttempt, GiveUp, Standing, StartCycle, moment
from domain.errors import CycleRefused, NothingToDecide
from domain.events.cycle_events import AttemptStarted, CycleEvent, CycleFailed
from tests.domain.events.sample_events import (
    AS_OF,
    COMPARED,
    EVALUATED,
    FORCE,
    GAVE_UP,
    GUARDED,
    HALTED,
    MEASURED,
    MERGED,
    PARITY,
    REPORTED,
    STARTED,
    TRAINED,
    decided,
)
from tests.story import given

LATER = "1978-01-01T00:00:00.000000Z"
STANDING = Standing(
    present=LATER,
    open_cycle=None,
    contract_digest=STARTED.contract_digest,
    policy=STARTED.policy,
    policy_digest=STARTED.policy_digest,
    champion="car-price/1",
    serves="car-price/1",
    has_labels=False,
    last_as_of="1976-01-01T00:00:00.000000Z",
    number=2,
    later=(),
    as_of=AS_OF,
    chosen=None,
)
NEW = replace(STANDING, champion=None, serves=None, has_labels=True, last_as_of=None, number=1)
ASKED = {"present": LATER, "latest": "1978-01-01T00:00:05.000000Z"}
ONE_MONTH, TEN_YEARS = DriftWindow(months=1), DriftWindow(years=10)
START = StartCycle(model="car-price", as_of=AS_OF, force=None)
TRIED_THRICE: tuple[CycleEvent, ...] = (
    STARTED,
    *(AttemptStarted(attempt=number) for number in (1, 2, 3)),
)


def test_a_cycle_starts_with_the_contract_policy_and_champion_of_the_moment() -> None:
    given(STANDING).when(START).then(STARTED)


def test_without_another_time_a_cycle_looks_back_from_the_present() -> None:
    assert moment(None, first_window=None, newest_row=AS_OF, **ASKED) == (LATER, None)
    assert moment(None, first_window=TEN_YEARS, newest_row=AS_OF, **ASKED) == (LATER, None)
    assert moment(None, first_window=TEN_YEARS, newest_row=None, **ASKED) == (LATER, None)


def test_a_model_filled_with_history_looks_back_from_its_newest_row_and_says_so() -> None:
    as_of, said = moment(None, first_window=ONE_MONTH, newest_row=AS_OF, **ASKED)
    assert as_of == AS_OF.replace(".000000Z", ".000001Z")
    assert said is not None
    assert f"its newest row ({AS_OF}) is older than its drift window" in said
    chosen = replace(NEW, as_of=as_of, chosen=said)
    first = structs.replace(STARTED, cycle="car-price-1", number=1, champion=None, serves=None)
    given(chosen).when(replace(START, as_of=None)).then(
        structs.replace(first, as_of=as_of, reason=said)
    )


def test_a_time_from_a_clock_a_little_ahead_is_the_present() -> None:
    ahead, beyond = "1978-01-01T00:00:05.000000Z", "1978-01-01T00:00:05.000001Z"
    assert moment(ahead, first_window=None, newest_row=None, **ASKED) == (LATER, None)
    assert moment(beyond, first_window=None, newest_row=None, **ASKED) == (beyond, None)


def test_a_clock_set_back_a_little_looks_back_from_where_the_last_cycle_did_and_says_so() -> None:
    last, beyond = "1978-01-01T00:00:05.000000Z", "1978-01-01T00:00:05.000001Z"

    def from_last(asked: str | None, *, last: str) -> tuple[str, str | None]:
        return moment(asked, first_window=None, newest_row=None, last=last, **ASKED)

    as_of, said = from_last(None, last=last)
    assert as_of == last
    assert said is not None
    assert f"the clock went back ({LATER}) by less than clocks may differ" in said
    assert from_last(None, last=beyond) == from_last(None, last=LATER) == (LATER, None)
    assert from_last(AS_OF, last=last) == (AS_OF, None)
    back = replace(STANDING, as_of=as_of, chosen=said, last_as_of=last)
    given(back).when(replace(START, as_of=None)).then(
        structs.replace(STARTED, as_of=as_of, reason=said)
    )


def test_a_forced_cycle_says_who_forced_it_and_why() -> None:
    given(STANDING).when(replace(START, force=FORCE)).then(structs.replace(STARTED, force=FORCE))


def test_the_first_cycle_has_nobody_to_compare_with() -> None:
    given(NEW).when(START).then(
        structs.replace(STARTED, cycle="car-price-1", number=1, champion=None, serves=None)
    )


def test_while_a_cycle_has_not_ended_no_other_one_starts_whatever_else_holds() -> None:
    open_one = replace(STANDING, open_cycle="car-price-1", policy_digest=None)
    given(open_one).when(START).then()


def test_without_its_policy_nothing_can_be_decided() -> None:
    given(replace(STANDING, policy_digest=None)).when(START).then_refused(
        NothingToDecide,
        saying=r"^the contract of 'car-price' names policy 'strict-and', which was never adopted\. "
        r"Adopt it first: `whyledger adopt FILE`, or POST /policies\.$",
    )


def test_without_champion_and_labels_nothing_can_be_decided() -> None:
    given(replace(NEW, has_labels=False)).when(START).then_refused(
        NothingToDecide,
        saying=rf"^'car-price' has no champion and no labelled row before {AS_OF}\. "
        r"Send observations or upload a dataset first\.$",
    )


def test_a_cycle_does_not_look_back_from_the_future() -> None:
    given(replace(STANDING, present="1976-07-01T00:00:00.000000Z")).when(START).then_refused(
        CycleRefused, saying=rf"^as_of {AS_OF} is after now \(1976-07-01T.*\)\. Choose an earlier"
    )


def test_a_cycle_does_not_look_back_from_before_the_last_one() -> None:
    given(replace(STANDING, last_as_of=LATER, later=("car-price-1",))).when(START).then_refused(
        CycleRefused,
        saying=rf"^as_of {AS_OF} is before the last cycle of 'car-price' \({LATER}\)\. Choose that "
        r"or a later one, or give a reason \(`reason`, --reason\), which sets aside car-price-1\.$",
    )


def test_after_a_cycle_of_a_clock_that_ran_ahead_the_way_out_is_a_reason() -> None:
    ahead = "2999-01-01T00:00:00.000000Z"
    given(replace(STANDING, last_as_of=ahead, later=("car-price-1",))).when(START).then_refused(
        CycleRefused,
        saying=rf"\({ahead}\)\. That has not come yet: set the clock if it is "
        r"behind; if it ran ahead then, give a reason \(`reason`, --reason\), which sets aside ",
    )


def test_a_cycle_with_a_reason_sets_later_ones_aside_and_names_them() -> None:
    mistaken = replace(
        STANDING, last_as_of=LATER, later=("car-price-1",), champion=None, has_labels=True
    )
    given(mistaken).when(replace(START, reason="a mistake")).then(
        structs.replace(STARTED, champion=None, sets_aside=("car-price-1",), reason="a mistake")
    )


def test_a_cycle_may_look_back_from_the_last_one_and_from_the_present() -> None:
    given(replace(STANDING, last_as_of=AS_OF, present=AS_OF)).when(START).then(STARTED)


def test_attempts_are_counted() -> None:
    begin = BeginAttempt(cycle="car-price-2")
    given(STARTED).when(begin).then(AttemptStarted(attempt=1))
    given(*TRIED_THRICE[:3]).when(begin).then(AttemptStarted(attempt=3))


def test_after_the_third_attempt_the_cycle_fails_in_place_of_a_fourth() -> None:
    given(*TRIED_THRICE, GUARDED).when(BeginAttempt(cycle="car-price-2")).then(
        CycleFailed(
            attempts=3, step="drift", reason="3 attempts were cut off; see logs/car-price-2.log"
        )
    )


def test_a_cycle_is_given_up_when_its_attempts_are_used_up() -> None:
    given(*TRIED_THRICE).when(GiveUp(reason="exit code 1", early=False)).then(
        CycleFailed(attempts=3, step="guard", reason="exit code 1")
    )


def test_a_cycle_with_an_attempt_left_is_not_given_up() -> None:
    given(*TRIED_THRICE[:3]).when(GiveUp(reason="exit code 1", early=False)).then()


def test_a_cycle_whose_workers_die_before_they_begin_is_given_up_early() -> None:
    given(STARTED).when(GiveUp(reason="died before it began", early=True)).then(
        CycleFailed(attempts=0, step="guard", reason="died before it began")
    )


@pytest.mark.parametrize("end", [(HALTED, REPORTED), (GAVE_UP,)])
def test_an_ended_cycle_is_neither_attempted_nor_given_up(end: tuple[CycleEvent, ...]) -> None:
    ended = given(*TRIED_THRICE, *end)
    ended.when(BeginAttempt(cycle="car-price-2")).then()
    ended.when(GiveUp(reason="exit code 1", early=True)).then()


def test_a_promotion_that_had_to_wait_takes_no_attempt_and_is_not_given_up() -> None:
    judged = (GUARDED, MEASURED, decided("retrain"))
    gated = (*judged, MERGED, TRAINED, PARITY, EVALUATED, COMPARED)
    given(*TRIED_THRICE, *gated).when(BeginAttempt(cycle="car-price-2")).then()
