"""One cycle's own stream: read and folded, and what comes next appended.

Only who holds the cycle's lock appends to it, so a lost race here is never decided again: somebody
else goes on with the cycle.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Artefact, Ledger, NewEvent, StreamAppend, StreamHistory
from app.ledger.streams import cycle_stream
from domain.decisions.cycle import Cycle, fold
from domain.errors import UnknownThing
from domain.events.cycle_events import CycleEvent


def read_cycle(ledger: Ledger, cycle: str) -> tuple[Cycle, StreamHistory]:
    """The cycle's state, and the history it was folded from.

    Raises:
        UnknownThing: no such cycle was started.
    """
    history = ledger.read_stream(cycle_stream(cycle))
    if not history.entries:
        raise UnknownThing.cycle(cycle)
    return fold(entry.event for entry in history.entries), history


def who_asked(history: StreamHistory) -> Cause:
    """The cause of what happens to the cycle outside of its steps: whoever started it."""
    first = history.entries[0]
    return Cause(first.actor, first.correlation_id)


def append_next(
    ledger: Ledger,
    state: Cycle,
    history: StreamHistory,
    events: Sequence[CycleEvent],
    cause: Cause,
    artefacts: Sequence[Artefact] = (),
) -> None:
    """Append what came next, and the artefacts that it names; it happens at the cycle's `as_of`.

    Raises:
        VersionConflict: somebody else went on with the cycle.
    """
    new = tuple(
        NewEvent(event=event, id=new_id(), occurred_at=state.begun.as_of) for event in events
    )
    append = StreamAppend(history.stream, new, history.version)
    ledger.append([append], cause, artefacts=artefacts)
