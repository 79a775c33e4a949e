"""Long work that others need not wait for: it gives the interpreter away again and again."""

from __future__ import annotations

import time
from typing import Final

from app.clock import monotonic_seconds

_SLICE_SECONDS: Final = 0.001  # as long as a thread keeps the interpreter when others want it
_PAUSE_SHARE: Final = 2.0  # of the work since the last pause


class GivingWay:
    """The pauses of a thread that works for a request which is refused already.

    A thread that always wants the interpreter gets it at each of the others' turns: the loop and
    the writer wait for it many times a request. While it sleeps nobody waits, and only whoever is
    refused hears later why.
    """

    def __init__(self) -> None:
        self._since = monotonic_seconds()

    def pause(self) -> None:
        """Sleep, where the work since the last pause was long enough."""
        worked = monotonic_seconds() - self._since
        if worked > _SLICE_SECONDS:
            time.sleep(worked * _PAUSE_SHARE)
            self._since = monotonic_seconds()
