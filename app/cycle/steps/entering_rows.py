"""The rows of a reign as they enter its evidence: a page in memory at a time.

A reign may serve millions of rows. Of each that it served, where it stands and its residual are
kept, and of each that has entered, 16 bytes of its identity, and 16 more where its label was
corrected since.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import numpy as np

from app.cycle.reigns import Reign, served_rows
from app.cycle.steps.knowledge import Knowledge
from app.cycle.steps.residuals import log_scale, residual
from app.ledger.store import Connection
from app.projections.labels_in_force import corrected_among, first_labels
from app.projections.windows import grouped_rows, no_window
from domain.identities import Identities
from domain.packed import one_by_one
from domain.residuals.front import Served, Settled
from domain.residuals.frozen import Residual

_ROWS_AT_ONCE: Final = 500


class EnteredRows:
    """Which rows have entered, and how many of them got another label since."""

    def __init__(self, known: Knowledge, connection: Connection) -> None:
        self._known, self._connection = known, connection
        self._identities = Identities(known.started.model)
        self._corrected = Identities(known.started.model)
        self._latest: list[str] = []

    def passing(self, rows: Iterable[Residual]) -> Iterator[Residual]:
        """The same rows, which have entered."""
        given = iter(rows)
        while page := list(islice(given, _ROWS_AT_ONCE)):
            for row in page:
                self.add(row)
            yield from page

    def add(self, row: Residual) -> None:
        """The row has entered."""
        self._latest.append(row.identity)
        if len(self._latest) == _ROWS_AT_ONCE:
            self._look()

    def identities(self) -> Identities:
        """Of all that have entered so far."""
        self._look()
        return self._identities

    def corrected(self) -> int:
        """How many of them were labelled more than once."""
        self._look()
        return len(self._corrected)

    def _look(self) -> None:
        if not self._latest:
            return
        started = self._known.started
        self._identities.add(self._latest)
        self._corrected.add(
            corrected_among(
                self._connection,
                started.model,
                self._latest,
                before=started.as_of,
                up_to=self._known.cutoff,
            )
        )
        self._latest = []


class ServedInReign:
    """The rows that the champion served in its reign, by event time and identity.

    Args:
        known: what the cycle looks at.
        connection: what is asked.
        reign: whose.
        entered: of these rows, those that have entered before.
    """

    def __init__(
        self, known: Knowledge, connection: Connection, reign: Reign, entered: Identities
    ) -> None:
        self._connection, self._entered = connection, entered
        self._window = served_rows(
            connection,
            reign,
            until=known.started.as_of,
            up_to=known.cutoff,
            by_time=True,
            answers=known.answers(connection, reign.champion.model_version),
        )
        self._up_to = known.cutoff
        self._log = log_scale(known, reign)
        self._fresh = array("d")  # the residual of each row that has not entered; else NaN

    def rows(self) -> Iterator[Served]:
        """Each of them, by its first label; to be gone through once."""
        entered = self._entered.among_rows(self._window.row_digests)
        labels = first_labels(self._connection, self._window, up_to=self._up_to)
        for at, (time, label) in enumerate(labels):
            had, apart = bool(entered[at]), None
            if label is not None:
                apart = residual(self._log, label, float(self._window.predictions[at]))
            self._fresh.append(np.nan if had or apart is None else apart)
            yield Served(time, apart is not None, had)

    def entering(self, settled: Settled, group: str) -> Iterator[Residual]:
        """Those that enter now, in their order, with their group; `rows` is over."""
        if not settled.entering:
            return
        apart = np.frombuffer(self._fresh)
        fresh = ~np.isnan(apart)
        places, apart = self._window.places[fresh], apart[fresh]
        self._window, self._fresh = no_window(), array("d")  # they are held no longer
        rows = grouped_rows(self._connection, places, group)
        for (identity, time, named), each in zip(rows, one_by_one(apart), strict=True):
            if settled.enters(Served(time, labelled=True)):
                yield Residual(identity, named, time, each)
