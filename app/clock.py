"""The only place that reads the time or draws an id or a salt. Everything else is given them."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.blocks.block import SALT_BYTES as ROW_SALT_BYTES
from domain.events.erasure import SALT_BYTES
from domain.times import format_time

_lock: Final = threading.Lock()
_CHANCE_BYTES: Final = 512  # drawn at once: asking the system costs more than the rest of an id
_chance = b""
_last_tick = 0  # of the newest id of this process: milliseconds << 12 | fraction


def _forget_chance() -> None:
    global _chance  # noqa: PLW0603 - a forked process must not draw what its parent draws
    _chance = b""


os.register_at_fork(after_in_child=_forget_chance)


def now() -> str:
    """The present, UTC, with exactly six decimals and `Z`: `2026-02-03T09:30:00.000000Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def latest_taken(skew_seconds: float) -> str:
    """The latest time that is taken from a client whose clock may be `skew_seconds` ahead."""
    return format_time(datetime.now(UTC) + timedelta(seconds=skew_seconds))


def new_id() -> str:
    """A UUIDv7 (RFC 9562), 36 characters; ids of one process sort in the order they were drawn.

    48 bits of Unix milliseconds, 12 bits of the millisecond's fraction (method 3 of § 6.2), 62
    random bits. When the clock stands still or goes back, the last tick is counted on.
    """
    global _last_tick, _chance  # noqa: PLW0603 - ids of this process must not repeat or go back
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    tick = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        tick = _last_tick = max(tick, _last_tick + 1)
        if not _chance:
            _chance = os.urandom(_CHANCE_BYTES)
        drawn, _chance = _chance[:8], _chance[8:]
    chance = int.from_bytes(drawn) & (1 << 62) - 1
    bits = tick >> 12 << 80 | 7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | chance
    digits = f"{bits:032x}"  # uuid.UUID would say the same and take three times as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_salt() -> bytes:
    """32 random bytes, for one payload alone."""
    return os.urandom(SALT_BYTES)


def new_row_salts(rows: int) -> bytes:
    """16 random bytes for each of so many rows of one entry."""
    return os.urandom(ROW_SALT_BYTES * rows)


def seconds_worked() -> float:
    """The processor's time that the calling thread has had; only differences mean something."""
    return time.thread_time()


def monotonic_seconds() -> float:
    """Seconds on a clock that never goes back: for waiting and for durations, never recorded."""
    return time.monotonic()
