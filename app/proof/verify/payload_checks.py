"""Checks of what stands apart: every commitment has its payload, or an entry says it was erased.

A payload is found, to be erased, by the model and identity beside it: they are its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from app.proof.verify.breaks import BREAKS_KEPT, Break
from app.proof.verify.seen import Apart, Seen
from domain.canonical import holds_nul
from domain.events.erasure import Payload
from domain.events.unreadable import HOLDS_NUL
from domain.faults import shown

_PAYLOADS: Final = (
    'SELECT "position", model, identity, salt, bytes FROM payloads ORDER BY "position"'
)
_ROWS: Final = 1000  # fetched at once
_THING: Final = "the data that stands apart"


def payload_breaks(
    connection: Connection, seen: Seen, *, stored: bool = True
) -> tuple[int, list[Break]]:
    """How many payloads were erased as entries say, and what is wrong with the others.

    Both are read by position, side by side.

    Args:
        connection: reads the moment at which the entries were checked.
        seen: what they commit to, and say was erased.
        stored: whether there is a table of payloads; an older schema has none.
    """
    erased, breaks = 0, _Kept()
    commits = seen.apart()
    next_one = next(commits, None)
    for position, beside, payload in _stored(connection) if stored else ():
        while next_one is not None and next_one.position < position:
            erased += _is_erased(next_one, breaks)
            next_one = next(commits, None)
        if next_one is None or next_one.position != position:
            breaks.add(Break(position, _THING, "none: the entry commits to none", "some"))
            continue
        if payload.commit != next_one.commit:
            expected = f"the commitment {next_one.commit}"
            breaks.add(Break(position, _THING, expected, payload.commit))
        else:
            breaks.add(*_named_otherwise(position, beside, payload))
        next_one = next(commits, None)
    while next_one is not None:
        erased += _is_erased(next_one, breaks)
        next_one = next(commits, None)
    return erased, breaks.found


class _Kept:
    """Breaks by position, as far as anybody is told of them."""

    def __init__(self) -> None:
        self.found: list[Break] = []

    def add(self, *breaks: Break) -> None:
        if len(self.found) < BREAKS_KEPT:
            self.found += breaks


def _is_erased(apart: Apart, breaks: _Kept) -> bool:
    """Whether data that is not there may be gone; else it is a break."""
    if not apart.erased:
        expected = "there, or an entry that says it was erased"
        breaks.add(Break(apart.position, _THING, expected, "neither"))
    return apart.erased


def _named_otherwise(position: int, beside: dict[str, Any], payload: Payload) -> Iterator[Break]:
    """Where the data itself says another model or identity than the columns beside it.

    Neither value is shown: an identity may be a person's.
    """
    if holds_nul(payload.content):
        yield Break(position, _THING, "data that can be read", HOLDS_NUL)
        return
    try:
        data = orjson.loads(payload.content)
        inside = {name: data[name] for name in beside}
    except (ValueError, TypeError, KeyError) as error:
        yield Break(position, _THING, "data of a row", f"none ({type(error).__name__})")
        return
    for name, value in beside.items():
        if value != inside[name]:
            found = "another" if isinstance(value, str) else shown(value)
            yield Break(position, f"the {name} beside {_THING}", "that of the data", found)


def _stored(connection: Connection) -> Iterator[tuple[int, dict[str, Any], Payload]]:
    options = {"yield_per": _ROWS}
    with connection.exec_driver_sql(_PAYLOADS, execution_options=options) as rows:
        for page in rows.partitions(_ROWS):  # of text the option alone would fetch all
            for position, model, identity, salt, content in page:
                beside = {"model": model, "identity": identity}
                yield position, beside, Payload(bytes(salt), bytes(content))
