"""Waiting for what another thread or process does: as long as it takes, unless it hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

HANGS_SECONDS: Final = 300.0  # no machine is so busy: what has not come by then never will


def until(true: Callable[[], bool], *, pause_seconds: float = 0.01) -> None:
    """Wait until it is true.

    Raises:
        TimeoutError: something hangs.
    """
    deadline = time.monotonic() + HANGS_SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it never came true")
        time.sleep(pause_seconds)
