"""What is said at doors that are asked as people ask them: a command's output, a page's text."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from typer.testing import CliRunner

from app.cli.main import app


@cache
def written(state: Path, *arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"WHYLEDGER_STATE_DIR": str(state)})
    assert done.exit_code == 0, done.output
    return done.stdout


class Cells(HTMLParser):
    """The text of a page, element by element, as a reader sees it."""

    TOLD = frozenset({"h1", "h2", "p", "li", "th", "td"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[list[str]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.TOLD:
            self.open.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag in self.TOLD:
            self.texts.append(one_line("".join(self.open.pop())))

    def handle_data(self, data: str) -> None:
        for each in self.open:
            each.append(data)


def one_line(text: str) -> str:
    return " ".join(text.split())
