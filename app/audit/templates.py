"""The templates that show what was answered: everything is escaped, a missing name is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

_MINUTE: Final = len("2026-01-01T00:00")
_COMMAND: Final = re.compile(r"`([^`]+)`")
_DIGEST: Final = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")  # SHA-256


def templates(folder: Path) -> Environment:
    """The templates in `folder`, compiled once.

    `|moment` and `|bound` say a time, `|digests` cuts digests, `|commands` sets what can be typed.
    """
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
    environment.filters["digests"] = digests
    environment.filters["commands"] = commands
    return environment


def moment(text: str) -> str:
    """A time to the minute, with its zone.

    >>> moment("1977-01-01T00:00:00.000000Z")
    '1977-01-01 00:00 UTC'
    """
    return f"{text[:_MINUTE].replace('T', ' ')} UTC"


def digests(text: str) -> Markup:
    """The text, escaped, with twelve characters of every digest; the whole of it shows on hover.

    >>> digests("the plan is " + "ab" * 32)[:27]
    Markup('the plan is <abbr title="ab')
    """
    short = r'<abbr title="\g<0>">\1…</abbr>'
    return Markup(_DIGEST.sub(short, str(escape(text))))  # noqa: S704 - escaped


def commands(text: str) -> Markup:
    """The text, escaped, with what stands between backticks as code.

    >>> commands("run `whyledger verify`")
    Markup('run <code>whyledger verify</code>')
    """
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def bound(text: str) -> str:
    """A time that others are before or after, with its zone: as exactly as it lies off the minute.

    >>> bound("1977-01-01T00:00:00.000000Z"), bound("1976-07-01T00:00:00.000001Z")
    ('1977-01-01 00:00 UTC', '1976-07-01 00:00:00.000001 UTC')
    """
    exact = text.removesuffix("Z").replace("T", " ")
    for zero in (".000000", ":00"):
        exact = exact.removesuffix(zero) if exact.endswith(zero) else exact
    return f"{exact} UTC"
