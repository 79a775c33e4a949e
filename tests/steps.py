"""Work counted in steps, so that a test can say how it grows without a clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType


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
