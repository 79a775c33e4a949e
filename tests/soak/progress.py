"""How far a long program is, and about how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

EVERY_SECONDS: Final = 30.0  # less would bury what the programs print themselves


def counted(of: int, what: str) -> Iterator[int]:
    """The numbers below `of`; a line now and then of how many are over, and what is left."""
    began = said = time.monotonic()
    for number in range(of):
        yield number
        now = time.monotonic()
        if now > said + EVERY_SECONDS:
            said = now
            left = (now - began) / (number + 1) * (of - number - 1)
            print(f"{number + 1} of {of} {what}, about {left / 60:.0f} min left", flush=True)  # noqa: T201 what it is for
