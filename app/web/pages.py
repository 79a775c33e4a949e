"""The templates of the pages, and the stylesheet that pages and reports share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from app.audit.templates import templates

STATIC: Final = Path(__file__).parent / "static"
_TEMPLATES: Final = templates(Path(__file__).parent / "templates")


def render(template: str, **values: object) -> str:
    """The page `template` makes of `values`."""
    return _TEMPLATES.get_template(template).render(values)


def stylesheet() -> str:
    """The stylesheet, to stand inside a page that is taken home as one file."""
    return (STATIC / "whyledger.css").read_text(encoding="utf-8")
