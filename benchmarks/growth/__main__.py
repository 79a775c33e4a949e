"""`make bench ARGS=growth`: what ten thousand rows cost, and what a million do.

A ledger of each size, filled in process and alike but for its size; pages, commands, a keep cycle,
batches, uploads and labels on them, each beside a peer or floor of the same run. A size is how many
rows were predicted, all in one window; labels and decisions come on top.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.databases import scratch
from benchmarks.growth.extent import SHORT, Extent, sizes_of
from benchmarks.growth.lines import empty_route_ms, sizes, targets
from benchmarks.growth.measuring import Found, measured
from benchmarks.report import machine, report
from benchmarks.tables import into, markdown


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, whatever was measured; no figure is held to its target here."""
    asked = _parsed(arguments)
    page: Path | None = asked.into
    if page is not None:
        _put(page, "")  # a page without a place for it is refused before the minutes, not after
    extent: Extent = SHORT if asked.short else Extent()
    if asked.sizes:
        extent = replace(extent, sizes=asked.sizes)
    if asked.without_peers:
        extent = replace(extent, peers=False)
    with scratch() as directory:
        found = measured(directory, extent)
    words = conditions(found)
    report(f"Growth ({words})", targets(found))
    report(f"Growth, at each size ({words})", sizes(found))
    if page is not None:
        _put(page, f"{words}.\n\n{markdown(targets(found))}\n{markdown(sizes(found))}")
    return 0


def conditions(found: Found) -> str:
    """On what it was measured, and how busy that was."""
    here = machine()
    begun, ended = found.load
    return (
        f"{here['processor']}, {here['cores']} cores, Python {here['python']}, SQLite "
        f"{here['sqlite']}; load average {begun:.1f} at the begin and {ended:.1f} at the end, by "
        f"our own doing; p95 of the empty route {empty_route_ms(found):.2f} ms"
    )


def _put(page: Path, table: str) -> None:
    text = into(page.read_text(encoding="utf-8"), "bench", "growth", table)
    if table:
        page.write_text(text, encoding="utf-8")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, help="rows: 10k,100k,1M, which is the default")
    parser.add_argument("--into", type=Path, help="the page whose table it is, docs/performance.md")
    parser.add_argument("--short", action="store_true", help="so little that a test can run it")
    parser.add_argument(
        "--without-peers", action="store_true", help="ask neither MLflow nor pyeventsourcing"
    )
    return parser.parse_args(arguments)


def _sizes(words: str) -> tuple[int, ...]:
    try:
        return sizes_of(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
