"""Long work that others need not wait for: it gives the interpreter away again and again."""

from __future__ import annotations

import time
from typing import Final

from app.clock import seconds_worked

_SLICE_SECONDS: Final = 0.001  # as long as a thread keeps the interpreter when others want it
_PAUSE_SHARE: Final = 2.0  # of the work since the last pause


class GivingWay:
    """The pauses of a thread that works for a request which is refused already, or most likely
    will be; or that does what is rare and in no hurry.

    A thread that always wants the interpreter gets it at each of the others' turns: the loop and
    the writer wait for it many times a request. While it sleeps they do not. What it waits for the
    interpreter itself is no work, or it would wait the longer the busier all are.
    """

    def __init__(self) -> None:
        self.slept = 0.0  # seconds, so far
        self._since: float | None = None  # as the thread that works counts

    def pause(self) -> None:
        """Sleep, where the work since the last pause was long enough; the first one only begins."""
        worked = 0.0 if self._since is None else seconds_worked() - self._since
        if worked > _SLICE_SECONDS:
            time.sleep(worked * _PAUSE_SHARE)
            self.slept += worked * _PAUSE_SHARE
        if self._since is None or worked > _SLICE_SECONDS:
            self._since = seconds_worked()
