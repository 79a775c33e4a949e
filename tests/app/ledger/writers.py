"""Processes that append to one ledger, each with events of its own, and say which positions."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing.connection import Connection

from app.cause import Cause
from app.ledger.store import StreamAppend
from app.projections.opening import open_ledger
from app.settings import Settings
from tests.forked import FORKING, Forked
from tests.ledger_events import new, refused


def write(name: str, appends: int, other: Connection) -> None:
    """Open the ledger, say so, and after a word append four events at a time."""
    ledger = open_ledger(Settings())
    other.send("ready")
    other.recv()
    for number in range(appends):
        own = tuple(new(refused(model=name)) for _ in range(3))
        shared = (new(refused(model="shared")),)
        entries = ledger.append(
            [
                StreamAppend(f"observations-{name}", own, None),
                StreamAppend("observations-shared", shared, None),
            ],
            Cause.unauthenticated(f"{name} {number}"),
        )
        other.send([entry.position for entry in entries])


class Writer:
    """A process of its own that runs `write`, and says which positions its events got."""

    def __init__(self, settings: Settings, name: str, appends: int) -> None:
        self._its, theirs = FORKING.Pipe()
        environment = os.environ | settings.as_environment()
        self.process = Forked(write, (name, appends, theirs), environment)
        theirs.close()

    def end(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        self._its.close()

    def ready(self) -> Writer:
        assert self._its.recv() == "ready"
        return self

    def go(self) -> None:
        self._its.send("go")

    def one(self) -> list[int]:
        positions: list[int] = self._its.recv()
        return positions

    def rest(self) -> list[int]:
        """The positions said until the process ends."""
        said: list[int] = []
        with suppress(EOFError, ConnectionResetError):
            while True:
                said += self.one()
        self.process.wait()
        return said
