"""Rows that depend on each other and do not drift, and the same with one feature that moved.

Six features, a reference and a window of one stream, frozen and measured as the drift step does:
by chi-square, which takes rows one by one, and by what the contract may say instead. Either the
rows follow each other (AR(1)), or the rows of a day have an effect in common.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.signal import lfilter

from benchmarks.simulations.bounds import Bound, share_bound
from benchmarks.simulations.program import Line, Program, Task, percent
from domain.drift.dependence import Depending
from domain.drift.measurement import measure_drift
from domain.drift.reference import freeze_reference
from domain.drift.statistics import Floats
from domain.events.findings import SIGNIFICANT, DriftReport

FEATURES: Final = 6
ROWS_A_DAY: Final = 20
DAY_SD: Final = 0.8  # of a day's effect; a row's variance is 1 in all
REFERENCE_ROWS: Final = 1_000
MOVED: Final = 1.0  # standard deviations
_NAMES: Final = tuple(f"f{number}" for number in range(FEATURES))

Stream = tuple[Literal["day", "serial"], float, int]  # kind, correlation of neighbours, window rows
STREAMS: Final[tuple[Stream, ...]] = (
    *(("serial", rho, 100) for rho in (0.0, 0.5, 0.8, 0.95)),
    *(("day", DAY_SD**2, days * ROWS_A_DAY) for days in (2, 3, 5, 10)),
)

FALSE: Final = {"serial": 0.08, "day": 0.05}  # scores above 0.2 without drift, at most
PROMISED: Final = 0.8  # the largest correlation of neighbours that this holds for
FOUND: Final = {  # of features that moved, at least
    ("serial", 100, 0.0): 0.92,
    ("serial", 100, 0.8): 0.53,
    **{
        ("day", days * ROWS_A_DAY, DAY_SD**2): share
        for days, share in ((2, 0.13), (3, 0.16), (5, 0.45), (10, 0.7))
    },
}


class Cell(NamedTuple):
    """What came of the windows of one stream; shares are 0..1."""

    blocks: str
    correlation: float  # of neighbours, or of rows of a day
    window_rows: int
    drift_by_chi_square: float  # the largest PSI with evidence is above 0.2, and nothing moved
    drift_by_blocks: float
    moved_found: float  # evidence by blocks for the one feature that moved


def bounds(found: Cell, windows: int) -> tuple[Bound, ...]:
    """What the figures of a cell must come to."""
    stream = found.blocks, found.window_rows, found.correlation
    drift = share_bound("by blocks", found.drift_by_blocks, windows, "at most", FALSE[found.blocks])
    least = FOUND.get(stream)
    if least is None:  # neighbours that are nearly the same: told, and promised nothing
        return () if found.correlation > PROMISED else (drift,)
    found_moved = share_bound("moved found", found.moved_found, windows, "at least", least)
    return drift, found_moved


def lines(windows: int, stream: Stream) -> list[Line]:
    """The line of one stream."""
    found = cell(windows, stream)
    rows = "follow each other" if found.blocks == "serial" else f"days of {ROWS_A_DAY}"
    figures = (
        *(rows, f"{found.correlation:.2g}", str(found.window_rows)),
        *(percent(found.drift_by_chi_square), f"`{found.blocks}` {percent(found.drift_by_blocks)}"),
        percent(found.moved_found),
    )
    return [Line(figures, bounds(found, windows))]


def tasks(windows: int) -> list[Task]:
    """One for each stream."""
    return [
        Task(f"{kind}, correlation {rho:.2g}, {n} rows", windows, partial(lines, windows, stream))
        for stream in STREAMS
        for kind, rho, n in [stream]
    ]


def cell(windows: int, stream: Stream) -> Cell:
    """So many windows of one stream; the same every time."""
    kind, correlation, n = stream
    draw = np.random.default_rng([len(kind), round(correlation * 100), n])
    chi_square = blocks = found = 0
    for at in range(windows):
        rows = _rows(stream, draw)
        reference, window = rows[:REFERENCE_ROWS], rows[REFERENCE_ROWS:]
        chi_square += _measured(None, reference, window, at).feature_drift_score > SIGNIFICANT
        blocks += _measured(kind, reference, window, at).feature_drift_score > SIGNIFICANT
        moved = window + MOVED * (np.arange(FEATURES) == 0)
        found += _measured(kind, reference, moved, at).features[0].evidence
    shares = (count / windows for count in (chi_square, blocks, found))
    return Cell(kind, correlation, n, *shares)


def _rows(stream: Stream, draw: np.random.Generator) -> Floats:
    """Reference and window of one stream, shape (rows, features), each of unit variance."""
    kind, correlation, n = stream
    rows = REFERENCE_ROWS + n
    noise = draw.normal(size=(rows, FEATURES))
    if kind == "day":
        effects = draw.normal(size=(rows // ROWS_A_DAY, FEATURES)) * math.sqrt(correlation)
        common: Floats = np.repeat(effects, ROWS_A_DAY, axis=0)
        return common + noise * math.sqrt(1 - correlation)
    noise[1:] *= math.sqrt(1 - correlation**2)
    return np.asarray(lfilter([1.0], [1.0, -correlation], noise, axis=0), np.float64)


def _measured(
    kind: Literal["day", "serial"] | None, reference: Floats, window: Floats, at: int
) -> DriftReport:
    m, n = len(reference), len(window)
    target = np.linspace(0.0, 1.0, m)
    frozen = freeze_reference(
        [(name, "number") for name in _NAMES],
        dict(zip(_NAMES, reference.T.tolist(), strict=True)),
        target,
        target,
        n,
        depending=None if kind is None else Depending(kind, _days(m)),
    )
    columns = dict(zip(_NAMES, window.T.tolist(), strict=True))
    return measure_drift(frozen, columns, np.zeros(n), blocks=_days(n), seed=f"{at}")


def _days(rows: int) -> list[str]:
    return [f"{row // ROWS_A_DAY}" for row in range(rows)]


PROGRAM: Final = Program(
    title=f"Dependent rows without drift, and with one of {FEATURES} features {MOVED:g} sd off",
    head=(
        *("rows", "correlation", "window rows", "score above 0.2 by χ²", "by `blocks`"),
        "moved feature found",
    ),
    runs=400,
    short_runs=20,
    tasks=tasks,
)
