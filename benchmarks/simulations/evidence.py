"""`residual_evidence` looked at every day: how often it is wrong in a year, how soon it is right.

The false alarms of a year are those of one look a day at a bound of 3,650 days, once in ten years.
Where rows are alike it is looked at twice: row by row, and with one value a block.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from benchmarks.simulations.bounds import Bound
from benchmarks.simulations.program import Line, Program, Task, percent
from benchmarks.simulations.streams import (
    CHANGE_DAY,
    DAYS,
    HOLDOUT_ROWS,
    INPUTS,
    NOISE,
    Change,
    Floats,
    Kind,
    alike,
    days,
    rows_a_block,
)
from domain.residuals.blocks import Alike, Hearing
from domain.residuals.evidence import Evidence, Ranked, advance, begun
from domain.residuals.frozen import Residual

BOUND_DAYS: Final = 3_650
FALSE: Final = DAYS / BOUND_DAYS  # of clean years, at most, by proof
VERSION: Final = "simulated/1"
_ROWS_100: Final = 2 / 3  # of the years of other cells: five times the rows of the next largest


@dataclass(frozen=True, slots=True)
class Cell:
    """What is looked at, and how soon an alarm must come after a change."""

    kind: Kind
    rows: int  # a day
    change: Change = "none"
    blocks: Alike | None = None  # what enters as one value
    holdout: int = HOLDOUT_ROWS
    half: int | None = None  # days in which half of the changes are found, at least
    most: int | None = None  # and nine in ten
    unseen: float | None = None  # share of changes that are never found, at least
    promised: bool = True  # a bound on false alarms

    @property
    def name(self) -> str:
        """In words."""
        by = f", a value a {self.blocks}" if self.blocks else ""
        return f"{self.kind}{by}, {self.rows} rows a day, holdout {self.holdout}, {self.change}"


CELLS: Final = (
    *(Cell("independent", rows) for rows in (3, 20, 100)),
    Cell("independent", 3, "error", half=29, most=63),
    Cell("independent", 20, "error", half=5, most=8),
    Cell("independent", 20, "error", holdout=40, half=5, most=8),
    Cell("independent", 100, "error", half=2),
    Cell("independent", 3, "wider error", holdout=1_000, half=30),
    Cell("independent", 20, "wider error", half=6),
    Cell("independent", 20, "error from the start", holdout=20, unseen=57 / 60),
    Cell("independent", 20, "error from the start", holdout=100, unseen=17 / 60),
    Cell("independent", 20, "error from the start", holdout=1_000, half=5),
    Cell("groups of 5", 20, promised=False),
    Cell("groups of 5", 20, blocks="group"),
    Cell("groups of 5", 20, "error", blocks="group", half=13),
    *(Cell("small day effects", rows, promised=False) for rows in (3, 20)),
    Cell("small day effects", 20, blocks="day"),
    Cell("small day effects", 20, "error", blocks="day", half=17),
    *(Cell("day effects", rows, promised=False) for rows in (3, 20, 100)),
    Cell("day effects", 20, blocks="day"),
    *(Cell("AR(1)", rows, promised=False) for rows in (3, 20, 100)),
)


@dataclass(frozen=True, slots=True)
class Years:
    """What came of some years."""

    years: int
    false: int  # years with at least one alarm while nothing had changed
    delays: tuple[int, ...]  # days from the change to the first alarm after it; 0: none came
    retrainings: int  # false alarms in all of them

    def found_in(self, days_after: float) -> int:
        """How many changes were found within so many days; that of the change is the first."""
        return sum(0 < delay <= days_after for delay in self.delays)

    def days_to(self, share: float) -> str:
        """In how many days this share of the changes was found, in words."""
        found = sorted(delay or math.inf for delay in self.delays)
        reached = found[math.ceil(share * len(found)) - 1]
        return f"{reached:.0f}" if math.isfinite(reached) else "never"


def generator_of(run: int, kind: Kind, rows: int, change: Change) -> np.random.Generator:
    """The random numbers of one year: the same whenever it is simulated."""
    return np.random.default_rng([run, rows, *kind.encode(), *change.encode()])


def holdout_of(generator: np.random.Generator, cell: Cell) -> Evidence:
    """What is frozen at the promotion; its rows are alike as those of later days are."""
    a_block = rows_a_block(cell.kind, cell.rows)
    frozen = NOISE * alike(generator, cell.kind, cell.holdout, a_block)[:, INPUTS]
    return begun(entries(frozen, "", a_block, cell.blocks))


def entries(residuals: Floats, name: str, a_block: int, blocks: Alike | None) -> tuple[Ranked, ...]:
    """What enters of these rows, whose names begin with `name`; `a_block` rows are alike."""
    rows = (
        Residual(f"{name}{n}", f"{name}{n // a_block}", f"{name}{n // a_block}T", residual)
        for n, residual in enumerate(residuals.tolist())
    )
    return tuple(Hearing(rows, blocks))


def years_of(runs: Iterable[int], cell: Cell) -> Years:
    """Some years of one kind; each ends with its first alarm."""
    count, false, delays = 0, 0, []
    since = 0 if cell.change == "error from the start" else CHANGE_DAY
    a_block = rows_a_block(cell.kind, cell.rows)
    for run in runs:
        generator = generator_of(run, cell.kind, cell.rows, cell.change)
        state, delay = holdout_of(generator, cell), 0
        stream = days(generator, cell.kind, cell.rows, change=cell.change)
        for day, each in enumerate(stream):
            new = entries(each.residuals, f"{day}/", a_block, cell.blocks)
            state = advance(state, new, model_version=VERSION, days=1.0)
            if state.log_days > math.log(BOUND_DAYS):
                changed = cell.change != "none" and day >= since
                false += not changed
                delay = day - since + 1 if changed else 0
                break
        count += 1
        delays.append(delay)
    return Years(count, false, tuple(delays), false)


def bounds(found: Years, cell: Cell) -> tuple[Bound, ...]:
    """What the years of a cell must come to."""
    made: list[Bound] = []
    if cell.change == "none" and cell.promised:
        made.append(Bound("false", found.false, found.years, "at most", FALSE))
    for days_after, share in ((cell.half, 0.5), (cell.most, 0.9)):
        if days_after is not None:
            hits = found.found_in(days_after)
            what = f"found in {days_after} days"
            made.append(Bound(what, hits, found.years, "at least", share))
    if cell.unseen is not None:
        never = found.years - found.found_in(math.inf)
        made.append(Bound("never found", never, found.years, "at least", cell.unseen))
    return tuple(made)


def lines(runs: int, cell: Cell) -> list[Line]:
    """The line of one cell."""
    found = years_of(range(runs), cell)
    clean = cell.change == "none"
    figures = (
        *(cell.kind, f"`{cell.blocks}`" if cell.blocks else "", str(cell.rows)),
        *(str(cell.holdout), cell.change, str(found.years)),
        percent(found.false / found.years) if clean else "",
        "" if clean else f"{found.days_to(0.5)}, {found.days_to(0.9)}",
    )
    return [Line(figures, bounds(found, cell))]


def tasks(runs: int) -> list[Task]:
    """One for each cell."""
    found = []
    for cell in CELLS:
        years = max(1, round(runs * _ROWS_100)) if cell.rows == 100 else runs
        whole = cell.change == "none" and cell.promised
        weight = years * (cell.rows + 3) * (1.0 if whole else 0.3)
        found.append(Task(cell.name, weight, partial(lines, years, cell)))
    return found


PROGRAM: Final = Program(
    title=f"`residual_evidence` > {BOUND_DAYS:,} days, looked at every day for {DAYS} days",
    head=(
        *("rows", "one value a", "rows a day", "holdout rows", "change", "years"),
        *("years with a false alarm", "delay: median, 90 %"),
    ),
    runs=300,
    short_runs=6,
    tasks=tasks,
)
