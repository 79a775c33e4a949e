"""Append without end from four threads, and note in a file what was acknowledged. To be killed.

    python tests/soak/load.py <file> <seed>

Says "ready" once the ledger is open, and begins when a line comes in.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.events.events import Event, PredictionMade, RowsRefused

TIME = "1976-07-01T00:00:00.000000Z"
THREADS = 4
EVENTS_MAX = 8  # of one stream in one append


def main() -> None:
    """Open the ledger and load it until somebody ends this process."""
    notes = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ledger = open_ledger(Settings())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in range(THREADS):
        chance = random.Random(f"{sys.argv[2]} {number}")
        threading.Thread(target=load, args=(ledger, notes, chance), daemon=True).start()
    threading.Event().wait()


def load(ledger: Ledger, notes: int, chance: random.Random) -> None:
    """Two streams in each append, which must come together or not at all."""
    while True:
        parts = [
            StreamAppend("predictions-cars", several(chance, prediction), None),
            StreamAppend("observations-cars", several(chance, refusal), None),
        ]
        entries = ledger.append(parts, Cause.unauthenticated(new_id()))
        # One write, so that a kill leaves whole notes: the system takes it all before it ends.
        os.write(notes, b"".join(f"{e.id} {e.position}\n".encode() for e in entries))


def several(chance: random.Random, make: Callable[[int], Event]) -> tuple[NewEvent, ...]:
    """One to `EVENTS_MAX` new events."""
    return tuple(
        NewEvent(make(chance.randrange(1000)), id=new_id(), occurred_at=TIME)
        for _ in range(chance.randint(1, EVENTS_MAX))
    )


# A program of its own cannot import `tests`: another package of that name may be installed.
def prediction(number: int) -> PredictionMade:
    """A prediction for one of a thousand cars."""
    return PredictionMade(
        model="cars",
        model_version="cars/1",
        plan_sha256="0" * 64,
        identity=f"car={number}",
        row={"car": str(number), "hpwt": 0.5},
        prediction=float(number),
        unknown_categories=(),
        request_id=None,
    )


def refusal(number: int) -> RowsRefused:
    """Some refused rows."""
    return RowsRefused(model="cars", door="events", rows=number + 1, reasons={"hpwt: missing": 1})


if __name__ == "__main__":
    main()
