"""The templates that show what was answered: everything is escaped, a missing name is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_MINUTE: Final = len("2026-01-01T00:00")


def templates(folder: Path) -> Environment:
    """The templates in `folder`, compiled once; `|moment` and `|bound` say a time."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["moment"] = moment
    environment.filters["bound"] = bound
    return environment


def moment(text: str) -> str:
    """A time to the minute, with its zone.

    >>> moment("1977-01-01T00:00:00.000000Z")
    '1977-01-01 00:00 UTC'
    """
    return f"{text[:_MINUTE].replace('T', ' ')} UTC"


def bound(text: str) -> str:
    """A time that others are before or after, with its zone: as exactly as it lies off the minute.

    >>> bound("1977-01-01T00:00:00.000000Z"), bound("1976-07-01T00:00:00.000001Z")
    ('1977-01-01 00:00 UTC', '1976-07-01 00:00:00.000001 UTC')
    """
    exact = text.removesuffix("Z").replace("T", " ")
    for zero in (".000000", ":00"):
        exact = exact.removesuffix(zero) if exact.endswith(zero) else exact
    return f"{exact} UTC"
