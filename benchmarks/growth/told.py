"""How far the run is, on stderr, with what is left of its time."""

from __future__ import annotations

import sys
import time
from typing import Final

from benchmarks.growth.extent import Extent, size_words

# Seconds that each part is taken to need: at least, and for each million rows. Only the proportions
# matter, for the first minute; then the run's own pace does.
EXPECTED: Final = {
    "first decision": (20.0, 0.0),
    "fill": (0.5, 320.0),
    "verify": (2.0, 280.0),
    "rebuild": (2.0, 180.0),
    "replay": (8.0, 200.0),
    "start": (4.0, 250.0),
    "pages": (1.0, 0.0),
    "cycle": (5.0, 300.0),
    "uploads": (6.0, 0.0),
    "outcomes": (6.0, 0.0),
    "batches": (30.0, 0.0),
    "disk": (10.0, 0.0),
    "pyeventsourcing": (20.0, 0.0),
}
_EACH_SIZE: Final = ("fill", "verify", "rebuild", "replay", "start", "cycle")
_SAID_SECONDS: Final = 2.0  # between two lines


class Told:
    """Says what is done, and how many minutes are left.

    Args:
        extent: what is to be done.
        doors: pages that are asked for in each round.
    """

    def __init__(self, extent: Extent, doors: int) -> None:
        self._begun = time.monotonic()
        self._said = 0.0
        self._done = self._current = 0.0
        parts: list[tuple[str, int]] = [("first decision", 0), ("disk", 0)]
        parts += [(part, size) for size in extent.sizes for part in (*_EACH_SIZE, "rebuild")]
        parts += [("pages", 0)] * (extent.rounds * doors)
        parts += [("uploads", 0), ("outcomes", 0), ("batches", 0)] * extent.rounds
        parts += [("pyeventsourcing", 0)] * (2 * extent.peers)
        self._whole = sum(map(_expected, parts))

    def __call__(self, part: str, size: int = 0, share: float = 0.0) -> None:
        """A part begins, or `share` of it is done; `size`: at so many rows, 0 for none."""
        if share == 0.0:
            self._done += self._current
            self._current = _expected((part, size))
        now = time.monotonic()
        if share and now - self._said < _SAID_SECONDS:
            return
        self._said = now
        done = self._done + share * self._current
        minutes = (now - self._begun) * max(0.0, self._whole - done) / max(done, 1e-9) / 60
        left = f"about {minutes:.1f} min left" if done else "just begun"
        where = f" at {size_words(size)} rows" if size else ""
        print(f"growth: {part}{where}; {left}", file=sys.stderr, flush=True)


def _expected(part: tuple[str, int]) -> float:
    least, a_million = EXPECTED[part[0]]
    return least + a_million * part[1] / 1e6
