"""Append without end from four threads, and note in a file what was acknowledged. To be killed."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from app.cause import Cause
from app.clock import new_id
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.projections.opening import open_ledger
from app.settings import Settings
from domain.events.events import Event
from tests.ledger_events import new, prediction, refused

THREADS = 4
EVENTS_MAX = 8  # of one stream in one append


def append_without_end(path: Path, seed: int, other: Connection) -> None:
    """Open the ledger, say so, and after a word load it until somebody ends this process."""
    notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ledger = open_ledger(Settings())
    other.send("ready")
    other.recv()
    for number in range(THREADS):
        chance = random.Random(f"{seed} {number}")
        threading.Thread(target=load, args=(ledger, notes, chance), daemon=True).start()
    threading.Event().wait()


def load(ledger: Ledger, notes: int, chance: random.Random) -> None:
    """Two streams in each append, which must come together or not at all."""
    while True:
        parts = [
            StreamAppend("predictions-cars", several(chance, a_prediction), None),
            StreamAppend("observations-cars", several(chance, a_refusal), None),
        ]
        entries = ledger.append(parts, Cause.unauthenticated(new_id()))
        # One write, so that a kill leaves whole notes: the system takes it all before it ends.
        os.write(notes, b"".join(f"{e.id} {e.position}\n".encode() for e in entries))


def several(chance: random.Random, make: Callable[[int], Event]) -> tuple[NewEvent, ...]:
    """One to `EVENTS_MAX` new events."""
    return tuple(new(make(chance.randrange(1000))) for _ in range(chance.randint(1, EVENTS_MAX)))


def a_prediction(number: int) -> Event:
    """A prediction for one of a thousand cars."""
    return prediction(f"car={number}")


def a_refusal(number: int) -> Event:
    """Some refused rows."""
    return refused(number + 1)
