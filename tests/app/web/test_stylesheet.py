"""What the stylesheet must say so that no word leaves its card and no line touches the next."""

from __future__ import annotations

import re

import pytest

from app.web.pages import stylesheet


def declared(selector: str) -> str:
    """What is declared for a selector, outside of media queries."""
    plain = stylesheet().partition("@media (max-width")[0]
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", plain)
    return ";".join(
        said for names, said in rules if selector in [name.strip() for name in names.split(",")]
    )


@pytest.mark.parametrize("place", [".card", ".light", ".gate", ".hero", ".report p"])
def test_a_long_word_is_broken_where_it_stands(place: str) -> None:
    assert "overflow-wrap: anywhere" in declared(place)


def test_a_line_above_the_cards_of_the_clauses_keeps_its_distance() -> None:
    assert "margin-top" in declared(".quiet + .lights")


def test_the_bullets_of_a_report_stand_inside_its_card() -> None:
    assert "padding-left" in declared(".report ul")
