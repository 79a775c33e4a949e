"""The process a cycle runs in: `python -m app.cycle.worker CYCLE`.

Nice 10, one attempt, safe to kill.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Final

from app.cause import Cause
from app.cycle.run import run_cycle
from app.cycle.stream import append_next, read_cycle, who_asked
from app.cycle.waiting import WAITS, waits
from app.database.locks import NamedLock
from app.database.private_files import keep_private, narrow_state
from app.ledger.damage import DamageStands, record_damage
from app.ledger.store import Ledger
from app.projections.opening import open_ledger
from app.projections.putting_right import again_when_put_right
from app.settings import Settings
from app.training.registry_alias import follow_champion
from domain.decisions import starting
from domain.decisions.starting import BeginAttempt
from domain.errors import WhyledgerError
from domain.events.cycle_events import CycleFailed

_NICENESS: Final = 10  # serving goes first
_log = logging.getLogger("whyledger.worker")


def main(cycle: str) -> int:
    """Run the cycle to its end; 0 when it ended or somebody else runs it, 1 when it gave up.

    `WAITS` when damage keeps it from promoting: that is no attempt, and may last for days.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s", level="INFO")
    os.nice(_NICENESS)
    settings = Settings()
    narrow_state(settings)
    ledger = open_ledger(settings)
    try:
        return _run(ledger, settings, cycle)
    finally:
        with suppress(WhyledgerError):  # then whoever meets it next says so
            record_damage(ledger, Cause("service:worker", cycle))


def _run(ledger: Ledger, settings: Settings, cycle: str) -> int:
    with NamedLock(ledger.engine, settings.state_dir / "locks", cycle) as held:
        if not held:
            _log.info("cycle %s is running elsewhere", cycle)
            return 0
        if waits(ledger, read_cycle(ledger, cycle)[0]):
            return WAITS
        if not begin_attempt(ledger, cycle):
            return 1
        try:
            state = again_when_put_right(ledger, lambda: run_cycle(ledger, settings, cycle))
        except DamageStands as damage:
            _log.warning("cycle %s waits: %s", cycle, damage.message)
            return WAITS
        follow_champion(ledger, settings, state.begun.model)
    return 0


def begin_attempt(ledger: Ledger, cycle: str) -> bool:
    """Record that an attempt starts; False when three were made, and then the cycle has failed."""
    state, history = read_cycle(ledger, cycle)
    events = starting.begin_attempt(state, BeginAttempt(cycle=cycle))
    if events:
        append_next(ledger, state, history, events, who_asked(history))
    return not any(isinstance(event, CycleFailed) for event in events)


if __name__ == "__main__":
    keep_private()
    sys.exit(main(sys.argv[1]))
