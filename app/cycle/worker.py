"""The process a cycle runs in: `python -m app.cycle.worker CYCLE`.

Nice 10, one attempt, safe to kill.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from app.cause import Cause
from app.clock import new_id
from app.cycle.run import run_cycle
from app.cycle.starting import give_up
from app.database.locks import NamedLock
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import cycle_stream
from app.projections.opening import open_ledger
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.decisions.cycle import ATTEMPTS_MAX, fold
from domain.events.cycle_events import CYCLE_EVENTS, AttemptStarted

_NICENESS: Final = 10  # serving goes first
_log = logging.getLogger("whyledger.worker")


def main(cycle: str) -> int:
    """Run the cycle to its end; 0 when it ended or somebody else runs it, 1 when it gave up."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="INFO")
    os.nice(_NICENESS)
    settings = Settings()
    ledger = open_ledger(settings)
    with NamedLock(ledger.engine, settings.state_dir / "locks", cycle) as held:
        if not held:
            _log.info("cycle %s is running elsewhere", cycle)
            return 0
        if not begin_attempt(ledger, cycle):
            return 1
        state = run_cycle(ledger, settings, cycle)
        follow_champion(ledger, settings, state.begun.model)
    return 0


def begin_attempt(ledger: Ledger, cycle: str) -> bool:
    """Record that an attempt starts; False when three were made, and then the cycle has failed."""
    history = ledger.read_stream(cycle_stream(cycle))
    state = fold(entry.event for entry in history.entries if isinstance(entry.event, CYCLE_EVENTS))
    if state.ended:
        return True
    if state.attempts >= ATTEMPTS_MAX:
        give_up(ledger, cycle, f"{ATTEMPTS_MAX} attempts were cut off; see logs/{cycle}.log")
        return False
    first = history.entries[0]
    event = AttemptStarted(attempt=state.attempts + 1)
    ledger.append(
        [
            StreamAppend(
                cycle_stream(cycle),
                (NewEvent(event=event, id=new_id(), occurred_at=state.begun.as_of),),
                history.version,
            )
        ],
        Cause(first.actor, first.correlation_id),
    )
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
