"""The tables that the long programs end with: printed, and put into the page that shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import tables

Show = Callable[[str, str], None]


def into(page: str, name: str, table: str) -> str:
    """The page with this table between the two comments of its name. Raises ValueError."""
    return tables.into(page, "soak", name, table)


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Show:
    """Print a table under its name; with `--into`, write it into that page as well."""
    page: Path | None = request.config.getoption("--into", default=None)

    def shown(name: str, table: str) -> None:
        print(f"\n{table}", flush=True)  # noqa: T201 what it is for
        if page is not None:
            page.write_text(into(page.read_text("utf-8"), name, table), "utf-8")

    return shown
