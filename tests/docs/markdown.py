"""The project's pages as tests read them: links, headings, fenced blocks and code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.repository import REPOSITORY

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / ".github").glob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / "data").glob("*.md"),
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", flags=re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def read(page: str | Path) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def blocks(text: str, *languages: str) -> Iterator[str]:
    """The fenced blocks in these languages."""
    for found in _FENCE.finditer(text):
        if found[1] in languages:
            yield found[2]


def spans(text: str) -> list[str]:
    """What stands in code spans outside fenced blocks."""
    return _SPAN.findall(prose(text))


def links(text: str) -> list[str]:
    """Where the links outside fenced blocks and code spans lead."""
    return _LINK.findall(_SPAN.sub("", prose(text)))


def anchors(text: str) -> set[str]:
    """The anchors GitHub makes of the headings."""
    return {_anchor(heading) for heading in _HEADING.findall(prose(text))}


def _anchor(heading: str) -> str:
    shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
