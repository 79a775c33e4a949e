"""`make simulate`: how often what may retrain is wrong in a year, and how soon it is right.

python -m benchmarks.simulations [short] [--write]

The same seeds give the same table. `--write` puts it into docs/simulations.md.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.simulations import evidence, policies
from benchmarks.simulations.evidence import Years
from benchmarks.simulations.streams import KINDS, ROWS_A_DAY, Change, Kind

PAGE = Path(__file__).parents[2] / "docs" / "simulations.md"
BEGIN, END = "<!-- begin: make simulate -->", "<!-- end: make simulate -->"
HEAD = (
    *("what looks", "rows", "rows a day", "change", "years"),
    *("years with a false retraining", "false retrainings a year", "delay: median, 90 %"),
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many years are simulated of each cell."""

    evidence: int
    policies: int
    rows_a_day: tuple[int, ...] = ROWS_A_DAY


LONG, SHORT = Sizes(100, 4), Sizes(6, 1, (3, 20))
Cell = tuple[str, Kind, int, Change]


def main(asked: Sequence[str]) -> int:
    """The exit status: 0, or 2 for a word nobody knows."""
    unknown = set(asked) - {"short", "--write"}
    if unknown:
        print(f"no such word: {', '.join(sorted(unknown))}; there are short, --write")
        return 2
    text = table(list(rows_of(SHORT if "short" in asked else LONG)))
    print(text)
    if "--write" in asked:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    return 0


def rows_of(sizes: Sizes) -> Iterator[tuple[str, ...]]:
    """The lines of the table, each when its years are simulated; progress goes to the screen."""
    cells = list(_cells(sizes))
    weights = [_weight(cell, sizes) for cell in cells]
    began, done = time.monotonic(), 0.0
    for cell, weight in zip(cells, weights, strict=True):
        what, kind, rows, change = cell
        if what == "evidence":
            found = {
                "residual evidence > 3,650 days": evidence.years_of(
                    range(sizes.evidence), kind, rows, change
                )
            }
        else:
            found = policies.years_of(range(sizes.policies), kind, rows, change)
        for name, years in found.items():
            yield (name, kind, str(rows), change, *_figures(years, change))
        done += weight
        left = (time.monotonic() - began) * (sum(weights) - done) / done
        print(
            f"{what}, {kind}, {rows} rows a day, {change}: done; {left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """The lines as a table in Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *sorted(rows, key=lambda row: row[0])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def written(page: str, text: str) -> str:
    """The page with this table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"


def _cells(sizes: Sizes) -> Iterator[Cell]:
    for what, changes in (("evidence", ("error",)), ("policies", ("error", "input"))):
        for rows in sizes.rows_a_day:
            for kind in KINDS:
                yield what, kind, rows, "none"
            for change in changes:
                yield what, "independent", rows, change  # type: ignore[misc]


def _weight(cell: Cell, sizes: Sizes) -> float:
    """About how long a cell takes, in no unit."""
    what, _, rows, change = cell
    years = 1.0 if change == "none" else 0.4
    if what == "evidence":
        return years * sizes.evidence * rows
    return years * sizes.policies * (600 + 4 * rows)


def _figures(years: Years, change: Change) -> tuple[str, str, str, str]:
    found = sorted(delay if delay else math.inf for delay in years.delays)
    at_90 = found[math.ceil(0.9 * len(found)) - 1]
    return (
        str(years.years),
        f"{years.false / years.years:.3f}" if change == "none" else "",
        f"{years.retrainings / years.years:.2f}" if change == "none" else "",
        f"{_days(median(found))}, {_days(at_90)}" if change != "none" else "",
    )


def _days(delay: float) -> str:
    return f"{delay:.0f}" if math.isfinite(delay) else "never"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
