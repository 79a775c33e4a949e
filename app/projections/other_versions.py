"""The read models of other versions of the service, which whoever opens a ledger finds in it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Set
from typing import Final

from sqlalchemy import Connection, MetaData, Table, select
from sqlalchemy.exc import DBAPIError

from app.database.engine import READ_MODELS_SCHEMA, in_plain_words
from app.database.locks import take_turns
from app.ledger.tables import ENTRIES
from app.projections.positions import forget, position_rows, positions_of, tables_beside
from domain.errors import LedgerBusy

_LOG: Final = logging.getLogger("whyledger.ledger")


def others_of(
    connection: Connection, mine: Set[str], unfolded_before: str | None = None
) -> list[str]:
    """The names of read models that other versions keep, or kept, beside `mine`.

    Only those into which an entry recorded before `unfolded_before` is not folded; None: all.
    What `read_model_positions` does not name is no read model, but an operator's own table.
    """
    known = positions_of(connection)
    return [
        name
        for name in sorted(known.keys() & tables_beside(connection) - mine)
        if unfolded_before is None
        or _recorded(connection, max(known[name], -1) + 1) < unfolded_before
    ]


def drop(
    connection: Connection, others: Iterable[str], unfolded_before: str | None = None
) -> list[str]:
    """Drop these, as `others_of` gave them for the same, under the ledger's lock; their names.

    Whoever needs one after all makes it again from the ledger. One that the database keeps,
    since a view stands on it or another login owns it, stays: housekeeping stops nobody.

    Raises:
        LedgerBusy: one stays, and all were to go, with what an erasure must reach.
    """
    others = list(others)
    take_turns(connection, others)
    dropped = []
    for name in others:
        try:
            with connection.begin_nested():
                Table(name, MetaData(schema=READ_MODELS_SCHEMA)).drop(connection)
        except DBAPIError as error:
            words = in_plain_words(error)
            said = f"read model {name!r} of another version cannot be dropped: {words}"
            if unfolded_before is None:
                raise LedgerBusy(
                    f"{said}. Remove what stands on it, or let its owner drop it; try again."
                ) from error
            _LOG.warning("%s", said)
        else:
            dropped.append(name)
    kept = set(others) - set(dropped)
    forget(
        connection,
        [
            row
            for row in position_rows(connection)
            if not set(dropped).isdisjoint(row.split()) and kept.isdisjoint(row.split())
        ],
    )
    return dropped


def _recorded(connection: Connection, position: int) -> str:
    """When the entry at this position was recorded; after all times when there is none."""
    query = select(ENTRIES.c.recorded_at).where(ENTRIES.c.position == position)
    return str(connection.execute(query).scalar_one_or_none() or "9")
