"""Start a cycle, begin an attempt at it, give it up: what is decided outside of its steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain.contract.contract import DriftWindow
from domain.contract.window import window_start
from domain.decisions.cycle import ATTEMPTS_MAX, Cycle, Step, next_step
from domain.decisions.rule_numbers import NEWEST
from domain.errors import CycleRefused, NothingToDecide
from domain.events.cycle_events import AttemptStarted, CycleFailed, CycleStarted, Force
from domain.times import just_after

AS_OF_LEFT_OUT: Final = "as_of was left out"  # so begins why a time was chosen for a cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a model when a cycle of it is asked for."""

    present: str  # the time of asking
    open_cycle: str | None  # that has started and not ended
    contract_digest: str
    policy: str  # id of the policy the contract names
    policy_digest: str | None  # of that policy's document in force; None: it was never adopted
    champion: str | None  # who is judged: made by a cycle that counts at as_of
    serves: str | None  # who answers
    has_labels: bool  # before the cycle's as_of; looked at only while nobody is judged
    last_as_of: str | None  # of the model's last cycle
    number: int  # of its next cycle, from 1
    later: tuple[str, ...]  # cycles that count, and look back from a later time than as_of
    as_of: str  # see `moment`
    chosen: str | None  # why as_of is that, if nobody asked for it and it is not the present


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCycle:
    """Look back from `as_of`, and decide; None: see `moment`.

    `reason`: why cycles that look back from a later time are set aside; None: none may be.
    """

    model: str
    as_of: str | None
    force: Force | None
    reason: str | None = None


def moment(
    asked: str | None,
    *,
    present: str,
    latest: str,
    first_window: DriftWindow | None,
    newest_row: str | None,
    last: str | None = None,
) -> tuple[str, str | None]:
    """The time a cycle looks back from, and why, if nobody asked for it and it is not the present.

    A model without any cycle whose newest row is older than its drift window has been filled with
    history: a look back from the present would find an empty window and train on the whole of it.

    A clock that went back by no more than clocks may differ (it was set right, or played a leap
    second twice) has the model looked at again from where its last cycle looked back.

    Args:
        asked: for; a time up to `latest` that has not come yet is the present.
        present: the time of asking.
        latest: the latest time that is taken from a clock ahead of ours.
        first_window: the contract's drift window while the model has no cycle; None: it has one.
        newest_row: the event time of the newest labelled row; None: there is none.
        last: as_of of the model's last cycle; None: it has none.
    """
    if asked is not None:
        return (present if present < asked <= latest else asked), None
    if last is not None and present < last <= latest:
        return last, (
            f"{AS_OF_LEFT_OUT}, and the clock went back ({present}) by less than clocks may "
            "differ since the last cycle: so as_of is the one of that cycle"
        )
    if first_window is None or newest_row is None:
        return present, None
    if newest_row >= window_start(present, first_window):
        return present, None
    return just_after(newest_row), (
        f"{AS_OF_LEFT_OUT}, the model has no cycle yet, and its newest row ({newest_row}) is "
        "older than its drift window: so as_of is just after that row"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginAttempt:
    """Take up the cycle and perform the steps it lacks."""

    cycle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """End the cycle as failed once its attempts are used up.

    `early`: its workers die before they begin an attempt, and that is an end too.
    """

    reason: str
    early: bool


def start_cycle(standing: Standing, command: StartCycle) -> tuple[CycleStarted, ...]:
    """The event that starts the model's next cycle; empty while one has not ended.

    Raises:
        CycleRefused: `as_of` lies in the future, or before the model's last cycle and no reason
            is given to set that one aside.
        NothingToDecide: no policy, or neither a champion nor a labelled row.
    """
    if standing.open_cycle is not None:
        return ()
    model, present = command.model, standing.present
    as_of = standing.as_of
    if standing.policy_digest is None:
        raise NothingToDecide(
            f"the contract of {model!r} names policy {standing.policy!r}, which was never "
            "adopted. Adopt it first: `whyledger adopt FILE`, or POST /policies."
        )
    if as_of > present and standing.chosen is None:
        raise CycleRefused(f"as_of {as_of} is after now ({present}). Choose an earlier one.")
    last = standing.last_as_of
    if last is not None and as_of < last and command.reason is None:
        choose = (
            "Choose that or a later one, or"
            if last <= present
            else "That has not come yet: set the clock if it is behind; if it ran ahead then,"
        )
        raise CycleRefused(
            f"as_of {as_of} is before the last cycle of {model!r} ({last}). {choose} give a reason "
            f"(`reason`, --reason), which sets aside {', '.join(standing.later) or 'no cycle'}."
        )
    if standing.champion is None and not standing.has_labels:
        raise NothingToDecide(
            f"{model!r} has no champion and no labelled row before {as_of}. "
            "Send observations or upload a dataset first."
        )
    return (
        CycleStarted(
            cycle=cycle_id(model, standing.number),
            model=model,
            number=standing.number,
            as_of=as_of,
            contract_digest=standing.contract_digest,
            policy=standing.policy,
            policy_digest=standing.policy_digest,
            champion=standing.champion,
            force=command.force,
            rules=dict(NEWEST),
            serves=standing.serves,
            sets_aside=standing.later,
            reason=command.reason or standing.chosen,
        ),
    )


def cycle_id(model: str, number: int) -> str:
    """The id of the model's cycle with this number, from 1.

    >>> cycle_id("car-price", 3)
    'car-price-3'
    """
    return f"{model}-{number}"


def begin_attempt(state: Cycle, command: BeginAttempt) -> tuple[AttemptStarted | CycleFailed, ...]:
    """The event that begins the next attempt, or fails the cycle; empty when it has ended.

    Empty, too, when nothing is left but a promotion: that is one transaction, which damage may have
    kept from being made as often as it was found.
    """
    if state.attempts and next_step(state) is Step.PROMOTE:
        return ()
    reason = f"{ATTEMPTS_MAX} attempts were cut off; see logs/{command.cycle}.log"
    failed = give_up(state, GiveUp(reason=reason, early=False))
    return failed if failed or state.ended else (AttemptStarted(attempt=state.attempts + 1),)


def give_up(state: Cycle, command: GiveUp) -> tuple[CycleFailed, ...]:
    """The event that fails the cycle; empty when it has ended or an attempt is left."""
    if state.ended or (state.attempts < ATTEMPTS_MAX and not command.early):
        return ()
    step = str(next_step(state))
    return (CycleFailed(attempts=state.attempts, step=step, reason=command.reason),)
