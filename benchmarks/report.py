"""How a benchmark says what it measured: the machine, a table for people, JSON for programs.

A figure that depends on the machine is worth little alone, so every program here measures the thing
and something to compare it with in the same run, and reports the ratio.
"""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

Figure = Mapping[str, str | int | float]


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print `figures` as a table under `title`, then everything as one line of JSON.

    Every figure has the same keys, in the order of the columns; the table rounds to four
    digits or to the whole number, the JSON does not round.
    """
    header = list(figures[0])
    cells = [[shown(figure[key]) for key in header] for figure in figures]
    widths = [max(len(text) for text in column) for column in zip(header, *cells, strict=True)]
    print(f"\n{title}\n")
    for line in (header, ["-" * width for width in widths], *cells):
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        print("  " + "  ".join(padded).rstrip())
    document = {"benchmark": title, "machine": machine(), "figures": [dict(f) for f in figures]}
    print("\n" + json.dumps(document, ensure_ascii=False))


def shown(value: str | int | float) -> str:
    """A figure for people: four digits, or the whole number from 1,000 on."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else value


def machine() -> dict[str, str | int]:
    """What a reader needs to know to compare figures: nothing that names it or its user."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def per_second(work: Callable[[], object], *, units: int = 1, seconds: float = 1.0) -> float:
    """How many units a second `work` does: the median of five measurements.

    `units` is what one call does; `seconds` is how long all the measurements take together.
    """
    work()  # once unmeasured: caches and lazy imports are not what is compared
    rates = []
    for _ in range(5):
        calls, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds / 5:
            work()
            calls += 1
        rates.append(calls * units / elapsed)
    return median(rates)


def fdatasync_per_second(directory: Path, *, seconds: float = 1.0) -> float:
    """How often a second the disk under `directory` confirms 4 KiB: the floor of durable writes."""
    path = directory / "fdatasync.probe"
    file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        block = bytes(4096)

        def write_and_wait() -> None:
            os.pwrite(file, block, 0)
            # macOS has no fdatasync; its fsync asks for no more than this.
            (os.fdatasync if sys.platform == "linux" else os.fsync)(file)

        return per_second(write_and_wait, seconds=seconds)
    finally:
        os.close(file)
        path.unlink()


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
