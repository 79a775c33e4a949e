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

    event_time: str  # UTC, six decimals
    labelled: bool  # whether it has a residual: by its first label
    entered: bool = False  # before, whenever it was asked about


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the front came."""

    since: str | None  # how far it had come before
    front: str | None  # every row up to and with this event time has entered or was skipped
    entering: int  # rows that enter now
    skipped: int  # of all rows of the reign up to the front, those that never entered
    waiting: int  # rows behind the front that have not entered before

    def enters(self, row: Served) -> bool:
        """Whether the row is one of those that enter now."""
        if row.entered or not row.labelled or self.front is None:
            return False
        return row.event_time <= self.front and (self.since is None or row.event_time > self.since)


def settle(rows: Iterable[Served], *, front: str | None, overdue_before: str) -> Settled:
    """Move the front as far as it goes.

    Args:
        rows: every row of the reign, in order of event time, once each; none of them is kept.
        front: how far it has come; None: nowhere.
        overdue_before: rows with an event time before it are waited for no longer.
    """
    since, entering, behind, waiting = front, 0, 0, 0
    moves = True
    for time, together in groupby(rows, key=lambda row: row.event_time):
        fresh = labelled = 0
        for row in together:
            fresh += not row.entered
            labelled += row.labelled and not row.entered
        if front is None or time > front:
            moves = moves and (time < overdue_before or fresh == labelled)
            if not moves:
                waiting += fresh
                continue
            entering += labelled
            front = time
        behind += fresh
    return Settled(since, front, entering, behind - entering, waiting)
