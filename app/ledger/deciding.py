"""The one way something is changed: read, fold, decide, append; who was too late decides again.

What is decided is decided by a pure function of `domain/decisions/`: state and command in, events
or a refusal out. Here it meets the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection

from app.cause import Cause
from app.clock import new_id, now
from app.ledger.batch import category
from app.ledger.commit import commit
from app.ledger.new_events import NewEvent, StreamAppend
from app.ledger.preparing import prepare
from app.ledger.reading import StreamHistory, read_stream
from app.ledger.store import Ledger
from domain.errors import VersionConflict
from domain.events.envelope import Recorded
from domain.events.erasure import Erased
from domain.events.events import Event
from domain.events.unreadable import Unreadable

TRIES: Final = 3  # a lost race is decided again until this many were lost

State = TypeVar("State")
Command = TypeVar("Command")
Decided = TypeVar("Decided", bound=Event)
# The pure part: the events that the command calls for, none when nothing has to change.
By: TypeAlias = Callable[[State, Command], Sequence[Decided]]
Attend: TypeAlias = Callable[[Sequence[Decided], Connection], None]  # to what was decided


@dataclass(frozen=True, slots=True)
class Look(Generic[State]):
    """Reads on one connection what is decided on, and the stream that the events are for.

    `read_models`: whether they hold every entry then; no, where they may be what cannot be folded.
    `rows`: whether those of rows do, too.
    """

    at: Callable[[Connection], tuple[State, StreamHistory]]
    read_models: bool = True
    rows: bool = False

    def connect(self, ledger: Ledger) -> AbstractContextManager[Connection]:
        """What to look on."""
        return ledger.connect(with_rows=self.rows) if self.read_models else ledger.snapshot()


@dataclass(frozen=True, slots=True)
class Decision(Generic[State]):
    """What was decided, and on what."""

    state: State
    history: StreamHistory  # before the decision
    recorded: tuple[Recorded, ...]  # what it appended, in order; empty: nothing had to change


def folded(
    stream: str, fold: Callable[[Iterable[Event | Erased | Unreadable]], State]
) -> Look[State]:
    """Looks at one stream: the state is `fold` over all its events, oldest first."""

    def look(connection: Connection) -> tuple[State, StreamHistory]:
        history = read_stream(connection, stream)
        return fold(entry.event for entry in history.entries), history

    return Look(look)


def decide(
    ledger: Ledger,
    look: Look[State],
    by: By[State, Command, Decided],
    command: Command,
    cause: Cause,
    *,
    occurred_at: Callable[[State], str] = lambda _: now(),
    beside: StreamHistory | None = None,
    check: Attend[Decided] | None = None,
) -> Decision[State]:
    """Look, decide and append at the version that was looked at; look again after a lost race.

    Args:
        ledger: where.
        look: at what; for a stream and its fold, `folded`.
        by: whom it is decided; what it raises is the refusal.
        command: what is asked for.
        cause: of the events.
        occurred_at: when they happened.
        beside: another stream, of another category, as its writer knows it: it gets the events of
            its category, in the same transaction. Who lost a race there has no say any more.
        check: looks at the events under the lock, before they are appended; what it raises undoes
            everything.

    Raises:
        VersionConflict: somebody else was first three times, or once in the stream `beside`.
    """
    lost = 0
    while True:
        with look.connect(ledger) as connection:
            state, history = look.at(connection)
        events = by(state, command)
        if not events:
            return Decision(state, history, ())
        appends = _appends(events, occurred_at(state), history, beside)
        try:
            recorded = ledger.append(appends, cause, check=check and partial(check, events))
        except VersionConflict as conflict:
            lost += 1
            if conflict.stream != history.stream or lost == TRIES:
                raise
        else:
            return Decision(state, history, recorded)


def decide_under_lock(
    ledger: Ledger,
    look: Look[State],
    by: By[State, Command, Decided],
    command: Command,
    cause: Cause,
    *,
    then: Attend[Decided],
) -> Decision[State]:
    """As `decide`, with the ledger's lock held from the look on: nobody can be first.

    For what must not miss an entry of any stream, and does more than append: `then` goes on with
    the events in the same transaction, and what it raises undoes everything.

    Raises:
        LedgerBusy: the lock did not come free in time.
    """
    with ledger.writing(with_rows=True) as connection:
        state, history = look.at(connection)
        events = by(state, command)
        if not events:
            return Decision(state, history, ())
        prepared = prepare(_appends(events, now(), history, None), cause, recorded_at=now())
        recorded = commit(connection, prepared, (), None, ledger.project)
        then(events, connection)
    return Decision(state, history, recorded)


def _appends(
    events: Sequence[Event], occurred_at: str, history: StreamHistory, beside: StreamHistory | None
) -> list[StreamAppend]:
    """Every event for the stream it was decided on, but those of the category of `beside`."""
    there = None if beside is None else category(beside.stream)
    new = [NewEvent(event=event, id=new_id(), occurred_at=occurred_at) for event in events]
    mine = tuple(each for each in new if category(each.event.stream) != there)
    appends = [StreamAppend(history.stream, mine, history.version)]
    if beside is not None:
        its = tuple(each for each in new if category(each.event.stream) == there)
        appends.append(StreamAppend(beside.stream, its, beside.version))
    return appends
