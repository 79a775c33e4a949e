"""What a simulation is made of: a program, its cells, and the lines of its table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.simulations.bounds import Bound


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a program's table, and what its figures must come to."""

    cells: tuple[str, ...]
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One cell of a simulation. Another process may run it, the same every time."""

    name: str
    weight: float  # about how long it takes, in no unit
    lines: Callable[[], list[Line]]


@dataclass(frozen=True, slots=True)
class Program:
    """One simulation."""

    title: str
    head: tuple[str, ...]  # of the table, without its last column, the bounds
    runs: int  # of each cell, in the long form
    short_runs: int
    tasks: Callable[[int], list[Task]]  # runs of each cell -> its cells


def percent(share: float) -> str:
    """A share of 0..1 in words.

    >>> percent(0.0455), percent(1.0), percent(0.0)
    ('4.55 %', '100 %', '0 %')
    """
    return f"{100 * share:.3g} %"
