"""`residual_evidence` looked at every day: how often it is wrong in a year, how soon it is right.

The false alarms of a year are those of one look a day at a bound of 3,650 days, once in ten years.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.simulations.streams import (
    CHANGE_DAY,
    HOLDOUT_ROWS,
    NOISE,
    Change,
    Kind,
    Rows,
    days,
)
from domain.residuals.evidence import Entry, Evidence, advance, begun

BOUND_DAYS: Final = 3_650
VERSION: Final = "simulated/1"


@dataclass(frozen=True, slots=True)
class Years:
    """What came of some years."""

    years: int
    false: int  # years with at least one alarm while nothing had changed
    delays: tuple[int, ...]  # days from the change to the first alarm after it; 0: none came
    retrainings: int  # false alarms in all of them


def generator_of(run: int, kind: Kind, rows: int, change: Change) -> np.random.Generator:
    """The random numbers of one year: the same whenever it is simulated."""
    return np.random.default_rng([run, rows, *kind.encode(), *change.encode()])


def holdout_of(generator: np.random.Generator) -> Evidence:
    """What is frozen at the promotion."""
    frozen = (NOISE * generator.normal(size=HOLDOUT_ROWS)).tolist()
    return begun(Entry.of_row("", residual) for residual in frozen)


def entered(state: Evidence, day: int, rows: Rows) -> Evidence:
    """The evidence after one more day."""
    named = [Entry.of_row(f"{day}/{n}", r) for n, r in enumerate(rows.residuals.tolist())]
    return advance(state, named, model_version=VERSION, days=1.0)


def years_of(runs: Iterable[int], kind: Kind, rows: int, change: Change) -> Years:
    """Some years of one kind; each ends with its first alarm."""
    count, false, delays = 0, 0, []
    for run in runs:
        generator = generator_of(run, kind, rows, change)
        state, delay = holdout_of(generator), 0
        for day, each in enumerate(days(generator, kind, rows, change=change)):
            state = entered(state, day, each)
            if state.log_days > math.log(BOUND_DAYS):
                changed = change != "none" and day >= CHANGE_DAY
                false += not changed
                delay = day - CHANGE_DAY + 1 if changed else 0
                break
        count += 1
        delays.append(delay)
    return Years(count, false, tuple(delays), false)
