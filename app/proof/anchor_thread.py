"""Giving an anchor what it should keep: by a thread of its own, again and again until it is kept.

A slow or failing anchor keeps nobody waiting. It takes the newest checkpoint, which covers all
before it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from app.background.outage import Outage
from app.clock import monotonic_seconds, now
from app.database.storage import StorageFailed
from app.proof.anchors import SECONDS, Anchor
from domain.tree.notes import Checkpoint

_WAIT_FIRST: Final = 1.0  # seconds before the second try, doubled with each
_WAIT_MAX: Final = 60.0
_LOG: Final = logging.getLogger("whyledger.anchors")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorStatus:
    """How far an anchor is."""

    anchor: str
    kept_size: int  # entries under the newest checkpoint it keeps; 0 before the first
    kept_at: str | None
    waiting_size: int | None  # entries under the checkpoint it should keep; None: nothing waits
    failures: int  # in a row
    last_error: str | None
    trying_seconds: float | None  # since an attempt began that has not ended; None: none is made


class AnchorThread:
    """Gives one anchor the newest checkpoint, again and again until it is kept.

    Args:
        anchor: where to.
        wait_first: seconds before the second try.
    """

    def __init__(self, anchor: Anchor, wait_first: float = _WAIT_FIRST) -> None:
        self._anchor = anchor
        self._wait_first = wait_first
        self._changed = threading.Condition()
        self._waiting: tuple[Checkpoint, str] | None = None
        self._kept_size, self._failures = 0, 0
        self._kept_at: str | None = None
        self._last_error: str | None = None
        self._began: float | None = None  # monotonic seconds, of the attempt that is being made
        name = anchor.name
        self._outage = Outage(_LOG, f"{name} keeps no copy", f"{name} keeps copies again")
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"anchor {name}", daemon=True)
        self._thread.start()

    def offer(self, checkpoint: Checkpoint, note: str) -> None:
        """Keep this one next; returns at once."""
        with self._changed:
            if checkpoint.size > self._kept_size:
                self._waiting = (checkpoint, note)
                self._changed.notify()

    def status(self) -> AnchorStatus:
        """How far it is."""
        with self._changed:
            return AnchorStatus(
                anchor=self._anchor.name,
                kept_size=self._kept_size,
                kept_at=self._kept_at,
                waiting_size=self._waiting[0].size if self._waiting else None,
                failures=self._failures,
                last_error=self._last_error,
                trying_seconds=None if self._began is None else monotonic_seconds() - self._began,
            )

    def close(self) -> None:
        """Try once more what waits, and end."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(timeout=2 * SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._ended:
                    self._changed.wait()
                if self._waiting is None:
                    return
                checkpoint, note = self._waiting
                self._began = monotonic_seconds()
            try:
                self._anchor.keep(checkpoint, note)
            except Exception as error:  # noqa: BLE001 whatever it is: seen in the status, tried again
                self._failed(error)
            else:
                self._kept(checkpoint)
            with self._changed:
                if self._ended and self._failures:
                    return

    def _kept(self, checkpoint: Checkpoint) -> None:
        with self._changed:
            self._began = None
            self._kept_size, self._kept_at = checkpoint.size, now()
            self._failures, self._last_error = 0, None
            self._outage.over()
            if self._waiting and self._waiting[0].size <= checkpoint.size:
                self._waiting = None

    def _failed(self, error: Exception) -> None:
        with self._changed:
            self._began = None
            self._failures += 1
            storage = StorageFailed.found(error)
            self._last_error = storage.message if storage else f"{type(error).__name__}: {error}"
            self._outage.failed(error, self._last_error)
            wait = min(_WAIT_MAX, self._wait_first * 2.0 ** min(self._failures - 1, 10))
            self._changed.wait_for(lambda: self._ended, timeout=wait)
