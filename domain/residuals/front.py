"""Which of a reign's rows enter its evidence now: in order of their time, whenever labels come.

A row enters once every row that the champion served with no later event time is labelled, or is
older than a label may take; what is unlabelled by then is skipped for good. So a label that comes
late because the error was large does not come late into the evidence. A row that has entered and
is asked about again, at a later time, does not enter again and holds nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Served:
    """A row that the champion served in its reign."""

    identity: str
    group: str
    event_time: str  # UTC, six decimals
    residual: float | None  # by its first label; None: it has none yet


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the front came."""

    entered: tuple[Served, ...]  # by event time and identity; each has a residual
    front: str | None  # every row up to and with this event time has entered or was skipped
    skipped: int  # of all rows of the reign up to the front, those that never entered


def settle(
    rows: Iterable[Served], *, entered: frozenset[str], front: str | None, overdue_before: str
) -> Settled:
    """Move the front as far as it goes.

    Args:
        rows: every row of the reign, in any order, once each.
        entered: the identities of those that have entered before.
        front: how far it has come; None: nowhere.
        overdue_before: rows with an event time before it are waited for no longer.
    """
    new: list[Served] = []
    behind = 0
    ordered = sorted(rows, key=lambda row: (row.event_time, row.identity))
    for time, together in groupby(ordered, key=lambda row: row.event_time):
        fresh = [row for row in together if row.identity not in entered]
        if front is None or time > front:
            if time >= overdue_before and any(row.residual is None for row in fresh):
                break
            new += [row for row in fresh if row.residual is not None]
            front = time
        behind += len(fresh)
    return Settled(tuple(new), front, behind - len(new))
