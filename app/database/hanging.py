"""A PostgreSQL that hangs: it neither answers nor refuses, and a wait for it would have no end.

The server's own timeouts do not help when it is the server, its disk or the way to it that stands
still. So a connection of a process that serves waits so long and no longer, and while nothing is
answered one connection in a while asks again; every other is refused at once.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import psycopg

from app.clock import monotonic_seconds

_ASKED_AGAIN_SECONDS: Final = 1.0
_CONNECT_SECONDS_MIN: Final = 2  # psycopg takes no less
_SPARE_SECONDS: Final = 1.0  # a server that is well refuses first: its locks have the same timeout
_MILLISECONDS: Final = 1000


class Hanging:
    """Whether the database of one engine hangs, as far as its connections have noticed."""

    def __init__(self, seconds: float) -> None:
        self.answer_seconds = seconds + _SPARE_SECONDS
        self._statement_milliseconds = int((seconds + _SPARE_SECONDS / 2) * _MILLISECONDS)
        self._lock = threading.Lock()
        self._asked: float | None = None  # when it was last asked in vain; None: it answers

    def connect(self, *arguments: Any, **parameters: Any) -> psycopg.Connection[Any]:
        """A connection that waits for each answer at most `answer_seconds`.

        Raises:
            psycopg.OperationalError: none within that time, now or a moment ago.
        """
        with self._lock:
            now = monotonic_seconds()
            if self._asked is not None:
                if now - self._asked < _ASKED_AGAIN_SECONDS:
                    raise psycopg.OperationalError(self._said())
                self._asked = now
        parameters["connect_timeout"] = max(_CONNECT_SECONDS_MIN, int(self.answer_seconds))
        # What it goes on with after nobody waits would only hold it up.
        options = f"-c statement_timeout={self._statement_milliseconds}"
        parameters["options"] = f"{parameters.get('options', '')} {options}".strip()
        try:
            made = _Impatient.connect(*arguments, **parameters)
        except psycopg.errors.ConnectionTimeout as error:
            self.noticed()
            raise psycopg.OperationalError(self._said()) from error
        made.hanging = self
        with self._lock:
            self._asked = None
        return made

    def noticed(self) -> None:
        """It did not answer."""
        with self._lock:
            self._asked = monotonic_seconds()

    def _said(self) -> str:
        return f"it did not answer within {self.answer_seconds:g} s"


class _Impatient(psycopg.Connection[Any]):
    """A connection that is closed when the server does not answer in time."""

    hanging: Hanging | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg, with the bound on how long one answer is waited for."""
        if timeout is not None or self.hanging is None:
            return super().wait(gen, interval, timeout)
        began = monotonic_seconds()
        seconds = self.hanging.answer_seconds
        try:
            return super().wait(gen, interval, seconds)
        except psycopg.OperationalError as error:
            if error.sqlstate is not None or monotonic_seconds() - began < seconds:
                raise  # the server's own words, or the connection's end
            self.hanging.noticed()
            self.pgconn.finish()  # what it may still answer belongs to nobody
            raise psycopg.OperationalError(f"it did not answer within {seconds:g} s") from error
