"""Given events, when a command comes, then events or a refusal: how the tests of decisions read.

What is decided on is a history, folded; or, where a decision needs more than one stream, a value
that was gathered: `given(STANDING)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from domain.decisions import cycle, erasure, lifecycle, policy, starting
from domain.errors import WhyledgerError
from domain.events.events import Event

Decide = Callable[[Any, Any], Sequence[Event]]


def gathered(found: Sequence[Any]) -> Any:
    """The one value that was gathered."""
    (value,) = found
    return value


# type of command -> how its state is made, and who decides
DECIDED_BY: dict[type, tuple[Callable[[Any], Any], Decide]] = {
    lifecycle.AdoptContract: (lifecycle.fold, lifecycle.adopt_contract),
    lifecycle.PromoteCandidate: (lifecycle.fold, lifecycle.promote),
    lifecycle.RollBack: (lifecycle.fold, lifecycle.roll_back),
    lifecycle.ReportHealth: (lifecycle.fold, lifecycle.report),
    policy.AdoptPolicy: (policy.fold, policy.adopt_policy),
    starting.StartCycle: (gathered, starting.start_cycle),
    starting.BeginAttempt: (cycle.fold, starting.begin_attempt),
    starting.GiveUp: (cycle.fold, starting.give_up),
    erasure.EraseRow: (gathered, erasure.erase_row),
}


@dataclass(frozen=True, slots=True)
class Given:
    """What happened, or what was found, before."""

    before: tuple[Any, ...]

    def when(self, command: object, *, by: Decide | None = None) -> When:
        """The command comes; `by` whom it is decided, where two functions may."""
        state_of, decide = DECIDED_BY[type(command)]
        return When(state_of(self.before), command, by or decide)


@dataclass(frozen=True, slots=True)
class When:
    """A command comes."""

    state: Any
    command: object
    decide: Decide

    def then(self, *events: Event) -> None:
        assert tuple(self.decide(self.state, self.command)) == events

    def then_refused(self, error: type[WhyledgerError], *, saying: str) -> None:
        with pytest.raises(error, match=saying):
            self.decide(self.state, self.command)


def given(*before: object) -> Given:
    """This history, oldest event first; or the one value that was gathered."""
    return Given(before)
