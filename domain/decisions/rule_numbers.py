"""The rules a cycle follows, by number: a changed rule is a new number, and the old one stays.

A cycle records the numbers it began under, and whoever resumes, replays or checks it follows those.
What each form says is in docs/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from domain.events.cycle_events import CycleStarted

Rule = Literal["bins", "holdout", "interval", "merge", "parity", "window"]
FIRST: Final = 1
NEWEST: Final[Mapping[str, int]] = {
    "holdout": 2,  # drawn by model, window and group; whole groups within half of the share
    "interval": 2,  # over groups, by a jackknife
    "merge": 2,  # rows held to the contract of the cycle; what both can predict is compared
    "parity": 2,  # relative to the terms added
    "window": 2,
}


def form(started: CycleStarted, rule: Rule) -> int:
    """Which form of `rule` the cycle follows."""
    return started.rules.get(rule, FIRST)
