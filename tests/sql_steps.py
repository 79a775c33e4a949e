"""Work of SQLite counted in steps, so that a test can say how it grows without a clock."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine, event

_REQUESTS: Final = "AnyIO worker"  # how the threads are named that answer requests


class SqlSteps:
    """Counts the instructions of SQLite's machine that requests take on an engine's connections.

    What runs beside the requests, in threads of its own, is not counted.
    """

    def __init__(self, engine: Engine) -> None:
        self._count = 0
        event.listen(engine.pool, "checkout", self._taken)
        event.listen(engine.pool, "checkin", self._given_back)

    def of(self, work: Callable[[], object]) -> int:
        """How many `work` takes."""
        before = self._count
        work()
        return self._count - before

    def _taken(self, raw: sqlite3.Connection, _record: object, _proxy: object) -> None:
        if threading.current_thread().name.startswith(_REQUESTS):
            raw.set_progress_handler(self._step, 1)

    def _given_back(self, raw: sqlite3.Connection | None, _record: object) -> None:
        if raw is not None:
            raw.set_progress_handler(None, 0)

    def _step(self) -> int:
        self._count += 1
        return 0  # go on


def machine_steps(connection: Connection, ask: Callable[[], object]) -> int:
    """How many tens of steps of SQLite's machine `ask` takes on this connection."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.set_progress_handler(step, 10)
    ask()
    raw.set_progress_handler(None, 0)
    return steps
