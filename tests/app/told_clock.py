"""A host's clock that goes where it is told: every time and id of this process comes from it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import pytest

from app import clock
from domain.times import format_time

DAY: Final = timedelta(days=1)
SECOND: Final = timedelta(seconds=1)
TEN_YEARS: Final = timedelta(days=3653)
_HOST: Final = time.time_ns


class ToldClock:
    """The host's clock, off by `ahead`, and at each reading by the next of `jumps` as well."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self.jumps: Sequence[timedelta] = (timedelta(),)
        self.told: list[str] = []  # every time it gave, in our one form

    def nanoseconds(self) -> int:
        """As `time.time_ns`."""
        return _HOST() + self._off() // timedelta(microseconds=1) * 1000

    def now(self, zone: tzinfo | None) -> datetime:
        """As `datetime.now`; the host's own zone is never asked for."""
        assert zone is UTC
        time = datetime.fromtimestamp(_HOST() / 1e9, UTC) + self._off()
        self.told.append(format_time(time))
        return time

    def _off(self) -> timedelta:
        first, *rest = self.jumps
        self.jumps = (*rest, first)
        return self.ahead + first


@contextmanager
def told_clock() -> Iterator[ToldClock]:
    """A clock that this process reads instead of the host's."""
    told = ToldClock()

    class Told(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return told.now(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "datetime", Told)
        patch.setattr("time.time_ns", told.nanoseconds)
        patch.setattr(clock, "_last_tick", clock._last_tick)  # else later ids go on from there
        yield told


@contextmanager
def host_zone(name: str) -> Iterator[None]:
    """The host's time zone is this one, of the tz database or as POSIX writes rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", name)
        time.tzset()
        yield
    time.tzset()
