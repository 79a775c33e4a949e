"""Decisions are short, whole, numbered without gaps, and found from their index."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import links, name_of, read
from tests.repository import REPOSITORY

FOLDER = REPOSITORY / "docs" / "decisions"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))
PARTS = ("## Context", "## Decision", "## Consequences", "## Alternatives")


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_a_decision_has_forty_to_sixty_lines_and_every_part(decision: Path) -> None:
    text = read(decision)

    assert 40 <= len(text.splitlines()) <= 60
    assert [part for part in PARTS if f"\n{part}\n" not in text] == []
    assert re.search(r"^## .*[Ee]nforce", text, flags=re.MULTILINE)


def test_the_index_leads_to_every_decision_in_order() -> None:
    index = read(FOLDER / "README.md")

    assert links(index) == [decision.name for decision in DECISIONS]


def test_numbers_have_no_gaps() -> None:
    assert [int(d.name[:4]) for d in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_the_index_says_a_decisions_own_title(decision: Path) -> None:
    title = re.sub(r"^# (?:\d+[.:]?\s*)?", "", read(decision).splitlines()[0])

    assert f"[{title}]({decision.name})" in read(FOLDER / "README.md")
