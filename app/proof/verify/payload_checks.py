"""Checks of what stands apart: every commitment has its payload, or an entry says it was erased.

A payload is found, to be erased, by the model and identity beside it: they are its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any, Final

import orjson
from sqlalchemy import Connection

from app.proof.verify.breaks import Break
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
    connection: Connection, commits: dict[int, str], erased: Set[int], *, stored: bool = True
) -> tuple[int, list[Break]]:
    """How many payloads were erased as entries say, and what is wrong with the others.

    Args:
        connection: reads the moment at which the entries were checked.
        commits: position -> what the entry there commits to, 64 hex digits.
        stored: whether there is a table of them; an older schema has none.
        erased: positions whose erasure an entry records.
    """
    missing = dict(commits)
    breaks = []
    for position, beside, payload in _stored(connection) if stored else ():
        commit = missing.pop(position, None)
        if commit is None:
            breaks.append(Break(position, _THING, "none: the entry commits to none", "some"))
        elif payload.commit != commit:
            breaks.append(Break(position, _THING, f"the commitment {commit}", payload.commit))
        else:
            breaks += _named_otherwise(position, beside, payload)
    breaks += [
        Break(position, _THING, "there, or an entry that says it was erased", "neither")
        for position in missing
        if position not in erased
    ]
    return sum(position in erased for position in missing), breaks


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
        for page in rows.partitions():
            for position, model, identity, salt, content in page:
                beside = {"model": model, "identity": identity}
                yield position, beside, Payload(bytes(salt), bytes(content))
