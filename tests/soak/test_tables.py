"""Where the tables of the long programs go."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["kills, sqlite", "kills, postgresql", "hours"])
def test_the_page_has_a_place_for_each(name: str) -> None:
    page = (REPOSITORY / "docs" / "reliability.md").read_text("utf-8")
    assert "it stands here" in into(page, name, "it stands here")
