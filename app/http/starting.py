"""Starting a process that serves: at once, or beside requests that are told how far it is."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Final

from app.background.outage import Outage
from app.clock import monotonic_seconds
from app.process import Process
from app.settings import Settings
from domain.errors import LedgerBusy, NotReady

_SAID_EVERY_SECONDS: Final = 5.0
_LOG: Final = logging.getLogger("whyledger.process")


class Starting:
    """A start that goes on in the background when its read models take more than a page to fold.

    Args:
        settings: of the process.
        ready: is given the process once it has started, in the event loop.
        failed: is given why a start in the background failed, there as well; nothing was kept open.
    """

    def __init__(
        self,
        settings: Settings,
        ready: Callable[[Process], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._failed = failed
        self._takes_long = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Process] | None = None
        self._stopped = threading.Event()
        self._since: tuple[float, int] | None = None  # when it was first said how far, and how far
        self._said = 0.0
        self._how = "the process is starting."
        self._outage = Outage(_LOG, "the start waits", "the process has started")

    async def begin(self) -> None:
        """Start; return when that is done, or when it takes long.

        Raises:
            WhyledgerError: it cannot be started; said here only when that shows at once.
        """
        self._task = asyncio.create_task(asyncio.to_thread(self._start))
        takes_long = asyncio.create_task(self._takes_long.wait())
        await asyncio.wait({self._task, takes_long}, return_when=asyncio.FIRST_COMPLETED)
        takes_long.cancel()
        if self._task.done():
            self._ready(self._task.result())
        else:
            self._task.add_done_callback(self._ended)

    def not_ready(self) -> NotReady:
        """What whoever asks meanwhile is told."""
        return NotReady(self._how)

    async def stop(self) -> None:
        """End a start that goes on; what is folded stays, and the next start goes on there."""
        self._stopped.set()
        if self._task is not None:
            await asyncio.wait({self._task})

    def _start(self) -> Process:
        while True:
            try:
                started = Process.start(self._settings, self._progress)
            except LedgerBusy as error:
                if self._since is None:
                    raise
                self._outage.failed(error)
                if self._stopped.wait(self._settings.retry_after_seconds):
                    raise
            else:
                self._outage.over()
                return started

    def _progress(self, done: int, of: int) -> None:
        if self._stopped.is_set():
            raise NotReady("the process was stopped before it had started. Start it again.")
        now = monotonic_seconds()
        self._how = f"read models are folded from the ledger: {done:,} of {of:,} entries"
        if self._since is None or done <= self._since[1]:
            self._since = now, done
            self._how += ". Ask again in a moment."
        else:
            began, before = self._since  # an earlier start may have folded that much
            left = (now - began) / (done - before) * (of - done)
            self._how += f", about {left:.0f} s left. Ask again then."
        if not self._said or now - self._said >= _SAID_EVERY_SECONDS:
            self._said = now
            _LOG.info("%s", self._how)
        self._loop.call_soon_threadsafe(self._takes_long.set)

    def _ended(self, task: asyncio.Task[Process]) -> None:
        error = task.exception()
        if error is None:
            self._ready(task.result())
        elif not self._stopped.is_set():
            self._how = f"the process cannot start: {error} Mend that, and start it again."
            _LOG.error("%s", self._how, exc_info=error)
            self._failed(error)
