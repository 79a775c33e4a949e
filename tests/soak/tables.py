"""The tables that the long programs end with: printed, and put into the page that shows them.

Who runs alone prints them as they come. What processes beside each other say stands at their end.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import tables

Say = Callable[[str], None]
Show = Callable[[str, str], None]
_SAID = "said"  # among the properties of a test


def into(page: str, name: str, table: str) -> str:
    """The page with this table between the two comments of its name. Raises ValueError."""
    return tables.into(page, "soak", name, table)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Print a line, or a table."""
    if not hasattr(request.config, "workerinput"):
        return lambda text: print(f"\n{text}", flush=True)  # noqa: T201 what it is for
    return lambda text: request.node.user_properties.append((_SAID, text))


def said_beside(tests: pytest.TerminalReporter) -> Iterator[str]:
    """What the tests of processes beside each other said, for whoever waits for all of them."""
    for reports in tests.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                yield from (str(text) for name, text in report.user_properties if name == _SAID)


@pytest.fixture
def show(request: pytest.FixtureRequest, say: Say) -> Show:
    """Say a table under its name; with `--into`, write it into that page as well."""
    page: Path | None = request.config.getoption("--into", default=None)

    def shown(name: str, table: str) -> None:
        say(table)
        if page is not None:
            with page.open("r+", encoding="utf-8") as held:
                fcntl.flock(held, fcntl.LOCK_EX)  # another process may have one for it, too
                text = into(held.read(), name, table)
                held.seek(0)
                held.truncate()
                held.write(text)

    return shown
