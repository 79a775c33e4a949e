"""`make bench ARGS=floors`: how far growth's targets lie from what no design can do without.

For each target of `growth` that is not met: where the time goes, other designs of the same work,
each measured, and the floor: the same work without what Whyledger exists for. Whoever wants a row
faster finds here what there is to gain.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.projections.opening import open_ledger
from app.settings import Settings
from benchmarks.databases import scratch
from benchmarks.floors.intake import batches, uploads
from benchmarks.floors.rebuilds import rebuilds
from benchmarks.growth.extent import SHORT, Extent
from benchmarks.growth.filling import Filling
from benchmarks.growth.sold_cars import Rows
from benchmarks.report import machine, report
from benchmarks.tables import into, markdown


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, whatever was measured."""
    asked = _parsed(arguments)
    page: Path | None = asked.into
    if page is not None:
        into(page.read_text(encoding="utf-8"), "bench", "floors", "")
    if asked.short:
        asked.rows = SHORT.sizes[-1]
    begun = os.getloadavg()[0]
    with scratch() as directory:
        filling, settings = Filling(), Settings(state_dir=directory / "state")
        _say(f"filling a ledger with {asked.rows:,} rows")
        filling.begin(settings.state_dir)
        filling.grow(settings.state_dir, asked.rows, lambda _: None)
        rows, extent = Rows(filling.cars), SHORT if asked.short else Extent()
        _say("rebuild")
        with closing(open_ledger(settings)) as ledger:
            ledger.rows.catch_up()
            tables = {"Rebuild": rebuilds(ledger, settings, directory, extent)}
        _say("batches")
        tables["Batches of 1,000 rows"] = batches(settings, rows, directory, extent)
        _say("uploads")
        tables["CSV"] = uploads(settings, rows, directory, extent)
    here, ended = machine(), os.getloadavg()[0]
    words = (
        f"{here['processor']}, {here['cores']} cores, Python {here['python']}, SQLite "
        f"{here['sqlite']}; {asked.rows:,} rows; load average {begun:.1f} at the begin and "
        f"{ended:.1f} at the end, by our own doing"
    )
    for name, figures in tables.items():
        report(f"{name} ({words})", figures)
    if page is not None:
        text = "\n".join(f"**{name}**\n\n{markdown(each)}" for name, each in tables.items())
        put = into(page.read_text(encoding="utf-8"), "bench", "floors", f"{words}.\n\n{text}")
        page.write_text(put, encoding="utf-8")
    return 0


def _say(what: str) -> None:
    print(f"floors: {what}", file=sys.stderr)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks floors", description=__doc__)
    parser.add_argument("--rows", type=int, default=30_000, help="that the ledger predicted")
    parser.add_argument("--short", action="store_true", help="so little that a test can run it")
    parser.add_argument("--into", type=Path, help="the page whose table it is, docs/performance.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
