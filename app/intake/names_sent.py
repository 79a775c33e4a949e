"""Whether what was sent names more fields than any that is taken, told at a glance.

To read a body holds the interpreter as long as it has names, most of the time in one call, during
which nobody else is answered. The glance may miss some that name too many; it takes no good one for
one of those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.intake.cloud_events import EXTENSIONS_MAX

FIELDS_MAX: Final = 50  # of an event beside its extension attributes, or of its data
NAMES_MAX: Final = 10_000  # of fields, in one event or row, with all that stands in it


def too_many_names_of_events(body: bytes, events_max: int) -> str | None:
    """Why a body names more fields than its events may have; None otherwise."""
    if b"\\u" in body:
        return None  # the name by which events are counted may be written otherwise
    return _too_many_names(body, min(events_max, body.count(b'"specversion"')), "an event")


def too_many_names_of_rows(body: bytes, rows_max: int) -> str | None:
    """Why a body names more fields than its rows may have; None otherwise."""
    return _too_many_names(body, min(rows_max, body.count(b"{") - 1), "a row")


def _too_many_names(body: bytes, things: int, thing: str) -> str | None:
    names = names_in(body)
    if names <= max(1, things) * NAMES_MAX:
        return None
    return f"the body names {names} fields; send at most {NAMES_MAX} in {thing}"


def names_in(body: bytes) -> int:
    """How many fields a body in JSON names, quickly: no more than it has names and texts.

    Behind a name stands a colon, but for spaces between; in a text a quote has a backslash. So a
    text that begins with a colon counts as one, too.
    """
    return body.count(b'":') - body.count(b'\\":')


def too_many_fields(item: object) -> str | None:
    """Why an event, or its data, has more fields than any that is taken; None otherwise.

    Asked before they are looked at one by one: each of a hundred thousand would be refused alone.
    """
    data = item.get("data") if isinstance(item, Mapping) else None
    for what, there, most in (
        ("", item, FIELDS_MAX + EXTENSIONS_MAX),
        ("its data ", data, FIELDS_MAX),
    ):
        if isinstance(there, Mapping) and len(there) > most:
            return f"{what}has {len(there)} fields; send at most {most}"
    return None
