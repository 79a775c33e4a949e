"""The rules a cycle follows, by number: a changed rule is a new number, and the old one stays.

A cycle records the numbers it began under, and whoever resumes, replays or checks it follows those.
What each form says is in docs/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from domain.events.cycle_events import CycleStarted

Rule = Literal["bins", "outcomes", "scale", "window"]
FIRST: Final = 1
NEWEST: Final[Mapping[str, int]] = {
    "bins": 2,  # long tails by both sides, edges between the numbers of float32
    "outcomes": 2,  # below the bounds, power by feature, no expectation where none is right
    "scale": 2,  # drift and error on the scale of the plan that predicted, not of the contract
    "window": 2,  # without the rows that the champion was trained on
}


def form(started: CycleStarted, rule: Rule) -> int:
    """Which form of `rule` the cycle follows."""
    return started.rules.get(rule, FIRST)
