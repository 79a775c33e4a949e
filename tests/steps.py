"""Work counted in steps, so that a test can say how it grows without a clock."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, TypeAlias

TraceFunction: TypeAlias = Callable[[FrameType, str, object], Any]


def steps(work: Callable[[], object]) -> int:
    """How many calls, of Python's functions and of C's, `work` makes, whatever it raises.

    Seen from this thread alone.
    """
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    except Exception:  # noqa: BLE001 a refusal is what is counted
        return count
    finally:
        sys.setprofile(before)
    return count


def lines(work: Callable[[], object]) -> int:
    """How many lines of Python `work` goes through, each as often as a loop comes back to it.

    A loop that calls nothing takes no step.
    """
    count = 0

    def counted(_frame: FrameType, event: str, _argument: object) -> TraceFunction:
        nonlocal count
        count += event == "line"
        return counted

    before = sys.gettrace()
    sys.settrace(counted)
    try:
        with suppress(Exception):  # a refusal is what is counted
            work()
    finally:
        sys.settrace(before)
    return count


def bytes_held(work: Callable[[], object]) -> int:
    """How many bytes `work` holds at most, beside what was there before it, whatever it raises."""
    gc.collect()
    tracemalloc.start()
    try:
        with suppress(Exception):  # a refusal is what is counted
            work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
