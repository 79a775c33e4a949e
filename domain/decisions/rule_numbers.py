"""The rules a cycle follows, by number: a changed rule is a new number, and the old one stays.

A cycle records the numbers it began under, and whoever resumes, replays or checks it follows those.
What each form says is in docs/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from domain.events.cycle_events import CycleStarted

Rule = Literal[
    "bins",
    "encoding",
    "evidence",
    "health",
    "holdout",
    "interval",
    "merge",
    "outcomes",
    "parity",
    "samples",
    "scale",
    "value",
    "window",
]
FIRST: Final = 1
NEWEST: Final[Mapping[str, int]] = {
    "bins": 2,  # long tails by both sides, edges between the numbers of float32
    "encoding": 2,  # an unlisted category is none of the known ones in training too, and counted
    "evidence": 2,  # residuals of a day or group that the contract calls alike enter as one value
    "health": 2,  # the latest window and the value of the reign beside the error since promotion
    "holdout": 2,  # drawn by model, window and group; whole groups within half of the share
    "interval": 2,  # over groups, by a jackknife
    "merge": 2,  # rows held to the contract of the cycle; what both can predict is compared
    "outcomes": 2,  # below the bounds, power by feature, no expectation where none is right
    "parity": 2,  # relative to the terms added
    "samples": 2,  # new is also what happened after the last training, by the labels it read
    "scale": 2,  # drift and error on the scale of the plan that predicted, not of the contract
    "value": 2,  # a reign is measured to its end, in every cycle
    "window": 2,  # without the rows that the champion was trained on
}


def form(started: CycleStarted, rule: Rule) -> int:
    """Which form of `rule` the cycle follows."""
    return form_in(started.rules, rule)


def form_in(rules: Mapping[str, int], rule: Rule) -> int:
    """The same by the rules as recorded: one that is not named is in its first form."""
    return rules.get(rule, FIRST)
