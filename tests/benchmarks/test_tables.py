"""Figures as tables on a page."""

from __future__ import annotations

import pytest

from benchmarks.tables import into, markdown

PAGE = "# What\n<!-- bench: hours -->\nold\n<!-- end -->\n<!-- soak: hours -->\n<!-- end -->\n"


def test_figures_are_drawn_rounded() -> None:
    drawn = markdown([{"what": "a", "rows": 12_345}, {"what": "b", "rows": 1.234567}])
    assert drawn == "| what | rows |\n| --- | --- |\n| a | 12,345 |\n| b | 1.235 |\n"


def test_a_table_takes_the_place_of_the_one_before_it_of_its_kind() -> None:
    assert into(PAGE, "bench", "hours", "new\n") == PAGE.replace("old", "new")


@pytest.mark.parametrize(("page", "places"), [(PAGE + PAGE, 2), ("# What\n", 0)])
def test_a_page_without_one_place_for_it_is_refused(page: str, places: int) -> None:
    with pytest.raises(ValueError, match=f"{places} places for the table 'hours', and needs one"):
        into(page, "bench", "hours", "new")
