"""Checks of what stands apart: every commitment has its payload, or an entry says it was erased."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from sqlalchemy import Connection

from app.proof.verify.breaks import Break
from domain.events.erasure import Payload

_PAYLOADS: Final = 'SELECT "position", salt, bytes FROM payloads ORDER BY "position"'
_ROWS: Final = 1000  # fetched at once
_THING: Final = "the data that stands apart"


def payload_breaks(
    connection: Connection, commits: dict[int, str], erased: Set[int]
) -> tuple[int, list[Break]]:
    """How many payloads were erased as entries say, and what is wrong with the others.

    Args:
        connection: reads the moment at which the entries were checked.
        commits: position -> what the entry there commits to, 64 hex digits.
        erased: positions whose erasure an entry records.
    """
    missing = dict(commits)
    breaks = []
    for position, payload in _stored(connection):
        commit = missing.pop(position, None)
        if commit is None:
            breaks.append(Break(position, _THING, "none: the entry commits to none", "some"))
        elif payload.commit != commit:
            breaks.append(Break(position, _THING, f"the commitment {commit}", payload.commit))
    breaks += [
        Break(position, _THING, "there, or an entry that says it was erased", "neither")
        for position in missing
        if position not in erased
    ]
    return sum(position in erased for position in missing), breaks


def _stored(connection: Connection) -> Iterator[tuple[int, Payload]]:
    options = {"yield_per": _ROWS}
    with connection.exec_driver_sql(_PAYLOADS, execution_options=options) as rows:
        for page in rows.partitions():
            for position, salt, content in page:
                yield position, Payload(bytes(salt), bytes(content))
