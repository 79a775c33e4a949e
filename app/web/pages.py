"""The templates, compiled once: everything is escaped, and a name that is missing is an error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from domain.events.verdicts import significant_digits

STATIC: Final = Path(__file__).parent / "static"
_MINUTE: Final = len("2026-01-01T00:00")


def render(template: str, **values: object) -> str:
    """The page `template` makes of `values`."""
    return _ENVIRONMENT.get_template(template).render(values)


def stream(template: str, **values: object) -> Iterator[str]:
    """The page in pieces, for what may be long."""
    pieces = _ENVIRONMENT.get_template(template).stream(values)
    pieces.enable_buffering(64)
    return iter(pieces)


def stylesheet() -> Markup:
    """The stylesheet, to stand inside a page that is taken home as one file."""
    return Markup((STATIC / "whyledger.css").read_text(encoding="utf-8"))  # noqa: S704 - ours


def moment(text: str) -> str:
    """A time to the minute, with its zone.

    >>> moment("1977-01-01T00:00:00.000000Z")
    '1977-01-01 00:00 UTC'
    """
    return f"{text[:_MINUTE].replace('T', ' ')} UTC"


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters["moment"] = moment
_ENVIRONMENT.filters["digits"] = significant_digits
