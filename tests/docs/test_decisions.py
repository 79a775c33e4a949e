"""Decisions are short, whole, numbered without gaps, and found from their index."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.docs.markdown import links, name_of, read
from tests.repository import REPOSITORY

FOLDER = REPOSITORY / "docs" / "decisions"
DECISIONS = sorted(FOLDER.glob("[0-9]*.md"))
# A decision -> the SHA-256 of its text from the context to what enforces it, the first 16 digits.
TEXTS = {
    1: "c5481c244a6369bf",
    2: "d7c37271c3eadd2f",
    3: "ff2f03202eacff5b",
    4: "b433e80a1c0c26c2",
    5: "25ff27bc4967edf1",
    6: "1e6a7c50329bd3df",
    7: "4fe31d4c9fbc5de8",
    8: "e63be986a5379552",
    9: "77d08a4a8646b2ef",
    10: "4a5b0f3990b3bb38",
    11: "dd4b4341dcf7fa37",
    12: "b26d2f06b24a98e0",
    13: "2ffc0658df81a608",
    14: "98376bff79fec41d",
    15: "f022711e984def7f",
    16: "e12a7eeaba2adee3",
    17: "66c9dc34338347d8",
    18: "f32598f070134b2c",
    19: "c3ee7f9ea296a596",
    20: "93e95ce47f7c7067",
    21: "9d1f78f2ca67014a",
    22: "d36974be011eb48d",
    23: "1cf60da2412538ad",
    24: "47c36a1eb505e3e9",
    25: "21bea78fd341835f",
    26: "7caba7edb329eae1",
    27: "9f7482b9a7bc94db",
    28: "52cd0821ad50f8c8",
    29: "69c7e9af6723bb9d",
    30: "110251989a561525",
    31: "bc3eb1c69eca7f89",
    32: "e8e7fb5a82048adb",
    33: "cfcad1926ef47283",
    34: "b3341291044725d8",
    35: "71fdf6f88a0e0ef6",
    36: "aa38d36dc89538af",
}
PARTS = ("## Context", "## Decision", "## Consequences", "## Alternatives")


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_a_decision_has_forty_to_sixty_lines_and_every_part(decision: Path) -> None:
    text = read(decision)

    assert 40 <= len(text.splitlines()) <= 60
    assert [part for part in PARTS if f"\n{part}\n" not in text] == []
    assert re.search(r"^## .*[Ee]nforce", text, flags=re.MULTILINE)


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_the_text_of_a_decision_stays_as_it_was_taken(decision: Path) -> None:
    """What no longer holds is superseded by a new decision; only paths of what enforces it move."""
    told = read(decision).partition("\n## Context\n")[2]
    text = re.split(r"^## .*[Ee]nforce", told, flags=re.MULTILINE)[0]

    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TEXTS[number_of(decision)]


def test_what_a_decision_supersedes_names_it_in_its_status_and_nothing_else_does() -> None:
    superseded, supersedes = set(), set()
    for decision in DECISIONS:
        status = status_of(decision)
        for by in re.findall(r"[Ss]uperseded (?:in part )?by (\d+)", status):
            superseded.add((number_of(decision), int(by)))
        for listed in re.findall(r"supersedes ([\d, and]+\d)", status):
            named = re.findall(r"\d+", listed)
            supersedes |= {(int(each), number_of(decision)) for each in named}

    assert superseded == supersedes != set()


def number_of(decision: Path) -> int:
    return int(decision.name[:4])


def status_of(decision: Path) -> str:
    return read(decision).partition("\n## Context\n")[0]


def test_the_index_leads_to_every_decision_in_order() -> None:
    index = read(FOLDER / "README.md")

    assert links(index) == [decision.name for decision in DECISIONS]


def test_numbers_have_no_gaps() -> None:
    assert [int(d.name[:4]) for d in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("decision", DECISIONS, ids=name_of)
def test_the_index_says_a_decisions_own_title(decision: Path) -> None:
    title = re.sub(r"^# (?:\d+[.:]?\s*)?", "", read(decision).splitlines()[0])

    assert f"[{title}]({decision.name})" in read(FOLDER / "README.md")
