"""A command's wait for PostgreSQL: as long as work takes, but not for a server that hangs.

Work may take long, a migration or a sort for hours. So nothing is cut for its length: when an
answer has not come for a while, another connection asks the server for nothing at all. While that
is answered the work goes on; when it is not either, the server hangs, and the wait ends.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import psycopg

from app.clock import monotonic_seconds
from app.database.hanging import Hanging

_CONNECT_SECONDS_MIN: Final = 2  # psycopg takes no less
_KEPT_ALIVE: Final = {  # a way that is cut without a word is noticed by the kernel
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}


class Attending:
    """The waits of one engine's connections.

    Args:
        seconds: after which the server is asked whether it answers at all, and how long it may take
            for that.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._asks: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def connect(self, *arguments: Any, **parameters: Any) -> psycopg.Connection[Any]:
        """A connection whose waits are attended to. Raises psycopg.OperationalError."""
        self._asks = (arguments, dict(parameters))
        parameters |= _KEPT_ALIVE
        parameters["connect_timeout"] = max(_CONNECT_SECONDS_MIN, int(self.seconds))
        try:
            made = _Attended.connect(*arguments, **parameters)
        except psycopg.errors.ConnectionTimeout as error:
            raise psycopg.OperationalError(self.said) from error
        made.attending = self
        return made

    @property
    def said(self) -> str:
        """What is said of a server that hangs."""
        return f"it did not answer within {self.seconds:g} s (WHYLEDGER_ANSWER_SECONDS_MAX)"

    def answers(self) -> bool:
        """Whether the server answers another connection: anything, a refusal as well."""
        arguments, parameters = self._asks
        try:
            with Hanging(self.seconds).connect(*arguments, **parameters) as asked:
                asked.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return error.sqlstate is not None
        return True


class _Attended(psycopg.Connection[Any]):
    """A connection that is closed when the server hangs while an answer is waited for."""

    attending: Attending | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """As psycopg; what waits is told every `interval` seconds that nothing came."""
        if self.attending is not None and timeout is None:
            gen = self._attended(gen, self.attending)
        return super().wait(gen, interval, timeout)

    def _attended(self, gen: Any, attending: Attending) -> Generator[Any, Any, Any]:
        try:
            wants = next(gen)
            since = monotonic_seconds()
            while True:
                ready = yield wants
                if ready:
                    since = monotonic_seconds()
                elif monotonic_seconds() - since > attending.seconds:
                    if not attending.answers():
                        self.pgconn.finish()  # what it may still answer belongs to nobody
                        raise psycopg.OperationalError(attending.said)
                    since = monotonic_seconds()
                wants = gen.send(ready)
        except StopIteration as ended:
            return ended.value
