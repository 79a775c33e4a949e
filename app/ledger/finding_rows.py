"""Rows of entries of many that are about one identity: found by reading them.

No read model is asked: it may lag behind, and somebody may have changed it. So every block of the
model is looked through once, few of them held at a time, and those are read in which a row may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from sqlalchemy import Connection, select

from app.ledger.erasures import models_of_rows
from app.ledger.reading import entries_at
from app.ledger.tables import BLOCKS
from domain.blocks.identity_search import search_for
from domain.events.block_events import RowPlace
from domain.events.expansion import rows_about
from domain.events.unreadable import Unreadable

_AT_ONCE: Final = 500  # positions of one query
_FEW: Final = 8  # blocks fetched at once: each has up to 10,000 rows


@dataclass(frozen=True, slots=True)
class RowsFound:
    """What was found about an identity."""

    rows: tuple[RowPlace, ...]  # in order; without those that are erased
    unread: tuple[int, ...]  # positions of entries that nobody can read: one may be in them

    @property
    def positions(self) -> list[int]:
        """The entries in which a row is, or may be, in order."""
        return sorted({each.position for each in self.rows} | {*self.unread})


def find_rows(connection: Connection, identity: str, positions: Iterable[int]) -> RowsFound:
    """The rows about `identity` in a model's entries at these positions, which ascend.

    Raises:
        StoredDamage: the bytes of such an entry are not what its hash says.
    """
    rows: list[RowPlace] = []
    unread: list[int] = []
    for entry in entries_at(connection, positions):
        if isinstance(entry.event, Unreadable):
            unread.append(entry.position)
        rows += (RowPlace(position=entry.position, row=row) for row in rows_about(entry, identity))
    return RowsFound(tuple(rows), tuple(unread))


def blocks_that_may_hold(
    connection: Connection, model: str, identity: str, *, after: int = -1, up_to: int
) -> Iterator[int]:
    """The positions in (`after`, `up_to`] of the model's entries of many rows, in order.

    Only of those in whose rows stands what a row about `identity` cannot lack.
    """
    may_hold = search_for(identity)
    query = select(BLOCKS.c.position).where(BLOCKS.c.position <= up_to)
    ordered = query.order_by(BLOCKS.c.position).limit(_AT_ONCE)
    while part := connection.execute(ordered.where(BLOCKS.c.position > after)).scalars().all():
        # Not one join: SQLite would look for all of the model's entries, and with each page.
        models = models_of_rows(connection, part)
        mine = [position for position in part if models.get(position) == model]
        for start in range(0, len(mine), _FEW):
            few = BLOCKS.c.position.in_(mine[start : start + _FEW])
            rows = connection.execute(select(BLOCKS.c.position, BLOCKS.c.bytes).where(few))
            for position, content in sorted(rows, key=itemgetter(0)):
                # What is no bytes somebody put there: whoever reads it finds that.
                if not isinstance(content, bytes) or may_hold(content):
                    yield position
        after = part[-1]
