"""Given events, when a command comes, then events or a refusal: how the tests of decisions read."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from domain.decisions.lifecycle import (
    AdoptContract,
    Lifecycle,
    PromoteCandidate,
    RollBack,
    adopt_contract,
    fold,
    promote,
    roll_back,
)
from domain.errors import WhyledgerError
from domain.events.events import ModelEvent

Command = AdoptContract | PromoteCandidate | RollBack


@dataclass(frozen=True, slots=True)
class Given:
    """A model with this history."""

    history: tuple[ModelEvent, ...]

    def when(self, command: Command) -> When:
        return When(fold(self.history), command)


@dataclass(frozen=True, slots=True)
class When:
    """A command comes."""

    state: Lifecycle
    command: Command

    def then(self, *events: ModelEvent) -> None:
        assert self._decide() == events

    def then_refused(self, error: type[WhyledgerError], *, saying: str) -> None:
        with pytest.raises(error, match=saying):
            self._decide()

    def _decide(self) -> tuple[ModelEvent, ...]:
        match self.command:
            case AdoptContract():
                return adopt_contract(self.state, self.command)
            case PromoteCandidate():
                return promote(self.state, self.command)
            case RollBack():
                return roll_back(self.state, self.command)


def given(*history: ModelEvent) -> Given:
    """A model with this history, oldest event first."""
    return Given(history)
