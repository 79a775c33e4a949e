"""Where the tables of the long programs go."""

from __future__ import annotations

import re

import pytest

from tests.repository import REPOSITORY
from tests.soak.tables import into

PAGE = "# What\n<!-- soak: hours -->\nold\n<!-- end -->\nrest\n"


def test_a_table_takes_the_place_of_the_one_before() -> None:
    assert into(PAGE, "hours", "new\n") == PAGE.replace("old", "new")


@pytest.mark.parametrize("page", [PAGE + PAGE, "# What\n"])
def test_a_page_without_one_place_for_it_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="places for the table 'hours', and needs one"):
        into(page, "hours", "new")


def test_each_place_in_the_page_has_its_program_and_each_program_its_place() -> None:
    page = (REPOSITORY / "docs" / "reliability.md").read_text("utf-8")
    places = re.findall(r"<!-- soak: (.+) -->\n", page)
    shown = {
        name.replace("{database}", each).replace("{ledger.engine.dialect.name}", each)
        for path in (REPOSITORY / "tests").rglob("test_*.py")
        for name in re.findall(r'(?<!def )\bshow\((?!\))(?:f?"([^"]+)")?', path.read_text("utf-8"))
        for each in ("sqlite", "postgresql")
    }
    assert sorted(shown) == sorted(places)
    for name in places:
        assert "it stands here" in into(page, name, "it stands here")
