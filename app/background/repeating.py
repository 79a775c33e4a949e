"""What is done in the background every so often, until it is closed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from app.background.outage import Outage

_LOG: Final = logging.getLogger("whyledger.background")


class Repeating:
    """Calls `work` every so often in a thread of its own, which no error of it ends.

    Args:
        name: what thread and log call it.
        work: what is done; what it raises is logged (see `Outage`), and it is called again.
        seconds: from the start, and from the end of one call, to the next.
        once_more: whether it is called a last time when it is closed.
    """

    def __init__(
        self, name: str, work: Callable[[], None], seconds: float, *, once_more: bool = False
    ) -> None:
        self._work = work
        self._seconds = seconds
        self._once_more = once_more
        self._closing = threading.Event()
        self._outage = Outage(
            _LOG,
            f"the background work {name!r} failed",
            f"the background work {name!r} is done again",
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def close(self, seconds_max: float | None = None) -> None:
        """End, after the call that is under way; wait so long for that, without a bound for None.

        Harmless before it began, and a second time.
        """
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(seconds_max)

    def _run(self) -> None:
        while not self._closing.wait(self._seconds):
            self._once()
        if self._once_more:
            self._once()

    def _once(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 whatever it is: seen in the log, and tried again
            self._outage.failed(error)
        else:
            self._outage.over()
