"""The catalogue is the code: what `docs/events.md` says cannot fall behind."""

from __future__ import annotations

from msgspec.structs import fields

from domain.blocks.layouts import LAYOUTS
from domain.events.block_events import BLOCK_EVENTS
from domain.events.catalogue import catalogue
from domain.events.events import EVENT_TYPES
from tests.repository import REPOSITORY

PAGE = REPOSITORY / "docs" / "events.md"


def test_the_committed_catalogue_is_what_the_code_generates() -> None:
    assert PAGE.read_text() == catalogue(), (
        "run: python -m domain.events.catalogue > docs/events.md"
    )


def test_every_event_type_and_field_stands_in_the_catalogue() -> None:
    text = PAGE.read_text()
    for event in EVENT_TYPES:
        section = text.split(f"### {event.type}\n")[1].split("\n### ")[0]
        assert f"Schema {event.schema}, stream `{event.stream}`" in section
        for field in fields(event):
            assert f"| `{field.name}` |" in section


def test_the_catalogue_says_how_older_schemas_are_read() -> None:
    section = PAGE.read_text().split("### cycle.decided\n")[1].split("\n### ")[0]
    assert "Schema 1 is read as schema 2: `verdict.never_retrained` is true when" in section


def test_no_two_events_share_a_name_and_schema() -> None:
    names = [(event.type, event.schema) for event in EVENT_TYPES]
    assert len(set(names)) == len(names)


def test_the_catalogue_says_how_the_lines_of_many_rows_are_laid_out() -> None:
    text = PAGE.read_text()
    for event in BLOCK_EVENTS:
        section = text.split(f"### {event.type}\n")[1].split("\n### ")[0]
        assert f"Each line is `{event.line}`" in section
        layout = LAYOUTS[event.type, event.schema]
        assert layout.plain == event.plain
        assert len(event.line.split(", ")) == len(layout.fixed) + layout.has_columns
    assert {(event.type, event.schema) for event in BLOCK_EVENTS} == set(LAYOUTS)
