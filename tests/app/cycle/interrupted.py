"""A ledger that something happens to at an append: a death, or somebody who is quicker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.cause import Cause
from app.ledger.store import Ledger, NewEvent, StreamAppend
from domain.events.envelope import Recorded


class Death(BaseException):
    """The process is gone: nothing may catch this and go on."""


def die() -> None:
    """Be killed here."""
    raise Death


def types_of(appends: Sequence[StreamAppend]) -> set[str]:
    """The types of the events that are appended each by itself."""
    return {
        new.event.type for append in appends for new in append.events if isinstance(new, NewEvent)
    }


class Interrupted(Ledger):
    """The ledger of another, but `then` happens just before or after an append.

    Args:
        ledger: what it really is.
        before: type of an event before whose append it happens.
        after: type of an event after whose append it happens.
        then: what happens; by default, death.
        times: how often it happens before such an append.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        before: str | None = None,
        after: str | None = None,
        then: Callable[[], object] = die,
        times: int = 1,
    ) -> None:
        vars(self).update(vars(ledger))  # whatever it is made of: the same database, another append
        self._before, self._after, self._then, self._left = before, after, then, times

    def append(
        self, appends: Sequence[StreamAppend], cause: Cause, **how: Any
    ) -> tuple[Recorded, ...]:
        """As ever, but for what happens."""
        types = types_of(appends)
        if self._before in types and self._left:
            self._left -= 1
            self._then()
        recorded = super().append(appends, cause, **how)
        if self._after in types:
            self._after = None
            self._then()
        return recorded
