"""`make simulate`: everything that is simulated, against what it must come to.

The same seeds give the same tables. A bound that is broken is named, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from benchmarks.simulations import (
    dependent_rows,
    evidence,
    group_intervals,
    long_tails,
    policies,
)
from benchmarks.simulations.program import Line, Program, Task

PAGE: Final = Path(__file__).parents[2] / "docs" / "simulations.md"
PROGRAMS: Final[Mapping[str, Program]] = {
    "evidence": evidence.PROGRAM,
    "policies": policies.PROGRAM,
    "long_tails": long_tails.PROGRAM,
    "dependent_rows": dependent_rows.PROGRAM,
    "group_intervals": group_intervals.PROGRAM,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 when a bound is broken."""
    asked = _parsed(arguments)
    page, broken = PAGE.read_text(encoding="utf-8"), []
    for name in asked.names or PROGRAMS:
        program = PROGRAMS[name]
        runs = asked.runs or (program.short_runs if asked.form == "short" else program.runs)
        tasks = program.tasks(runs)
        found = dict(simulated(name, tasks, asked.processes))
        lines = [(task.name, line) for task in tasks for line in found[task.name]]
        text = table(program, [line for _, line in lines])
        print(f"\n## {name}: {program.title}\n\n{text}", flush=True)
        broken += [
            f"{name}: {cell}: {bound.sentence}"
            for cell, line in lines
            for bound in line.bounds
            if not bound.kept
        ]
        page = written(page, name, text)
    if asked.write:
        PAGE.write_text(page, encoding="utf-8")
    for each in broken:
        print(f"a bound is broken: {each}", file=sys.stderr)
    return 1 if broken else 0


def simulated(name: str, tasks: Sequence[Task], processes: int) -> Iterator[tuple[str, list[Line]]]:
    """The lines of each task as it ends; how far it is goes to the screen."""
    began, done, whole = time.monotonic(), 0.0, sum(task.weight for task in tasks)
    for number, (task, lines) in enumerate(_ended(tasks, processes), 1):
        yield task.name, lines
        done += task.weight
        minutes = (time.monotonic() - began) * max(0.0, whole - done) / done / 60
        print(
            f"{name} {number}/{len(tasks)}: {task.name}; about {minutes:.1f} min left",
            file=sys.stderr,
            flush=True,
        )


def _ended(tasks: Sequence[Task], processes: int) -> Iterator[tuple[Task, list[Line]]]:
    """Each task with its lines, as it ends."""
    if processes == 1:
        yield from ((task, task.lines()) for task in tasks)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        # what takes longest begins first, so that no process waits for it at the end
        longest_first = sorted(tasks, key=lambda task: -task.weight)
        running = {pool.submit(task.lines): task for task in longest_first}
        for ended in as_completed(running):
            yield running[ended], ended.result()


def table(program: Program, lines: Sequence[Line]) -> str:
    """The lines as a table in Markdown; their bounds stand in the last column, if there are any."""
    bound = any(line.bounds for line in lines)
    rows = [
        (*line.cells, *(["; ".join(each.short for each in line.bounds)] if bound else []))
        for line in lines
    ]
    head = (*program.head, *(["what must be (and by chance)"] if bound else []))
    drawn = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in drawn) + "\n"


def written(page: str, name: str, text: str) -> str:
    """The page with this table between the two marks of the program."""
    begin, end = marks(name)
    between = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    return between.sub(lambda _: f"{begin}\n\n{text}\n{end}", page)


def marks(name: str) -> tuple[str, str]:
    """What stands on the page before and after a program's table."""
    return f"<!-- begin: make simulate {name} -->", f"<!-- end: make simulate {name} -->"


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulations", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PROGRAMS)}, short; all: none")
    parser.add_argument("--runs", type=int, help="years, windows or draws of each cell")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    asked = parser.parse_args(arguments)
    asked.form = "short" if "short" in asked.names else "long"
    asked.names = [name for name in asked.names if name != "short"]
    unknown = [name for name in asked.names if name not in PROGRAMS]
    if unknown:
        parser.error(f"no simulation {', '.join(unknown)}; there are {', '.join(PROGRAMS)}")
    if asked.runs is not None and asked.runs < 1:
        parser.error(f"--runs {asked.runs}: at least 1 of each cell")
    return asked


if __name__ == "__main__":
    sys.exit(main())
