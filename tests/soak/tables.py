"""The tables that the long programs end with: printed, and put into the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Show = Callable[[str, str], None]


def into(page: str, name: str, table: str) -> str:
    """The page with this table between the two comments of its name.

    Raises:
        ValueError: the page has no such place, or two.
    """
    place = re.compile(rf"(<!-- soak: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    found, times = place.subn(lambda match: f"{match[1]}{table.strip()}\n{match[2]}", page)
    if times != 1:
        raise ValueError(f"the page has {times} places for the table {name!r}, and needs one")
    return found


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Show:
    """Print a table under its name; with `--into`, write it into that page as well."""
    page: Path | None = request.config.getoption("--into", default=None)

    def shown(name: str, table: str) -> None:
        print(f"\n{table}", flush=True)  # noqa: T201 what it is for
        if page is not None:
            page.write_text(into(page.read_text("utf-8"), name, table), "utf-8")

    return shown
