"""How the rows of an upload stand before it, and by what it recorded itself.

It sees everything that was recorded before it began. It does not wait until its own rows are folded
(that takes about as long as to record them), but remembers them until they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import Final

from app.ledger.new_events import NewObservations
from app.ledger.store import Connection, Ledger
from app.projections.label_rows import latest_rows
from app.projections.predictions import predicted_identities
from domain.events.events import PayloadErased, Row
from domain.identities import digests_of_rows

_REMEMBERED_MAX: Final = 10_000  # rows; then it waits for the fold


class StandingRows:
    """The rows of one model, for one upload."""

    def __init__(self, ledger: Ledger, model: str) -> None:
        self._ledger = ledger
        self._model = model
        self._begun_at = -1  # the position up to which all was folded when it began
        self._recent: deque[_Remembered] = deque()

    def look(self, identities: Sequence[str]) -> tuple[dict[str, Row], frozenset[str]]:
        """The labelled row in force of each that has one, and those of which there is a prediction.

        Raises:
            LedgerBusy: what must be folded for it was not in time.
        """
        asked = dict(zip(digests_of_rows(self._model, identities), identities, strict=True))
        with self._connected() as connection:
            folded = self._ledger.rows.folded(connection)
            while self._recent and self._recent[0].position <= folded:
                self._recent.popleft()
            current = latest_rows(connection, asked)
            predicted = predicted_identities(connection, asked)
        wanted = {*identities}
        for each in self._recent:
            current.update(each.among(wanted))
        return current, predicted

    def recorded(self, position: int, rows: NewObservations) -> None:
        """These rows were recorded by the upload, the last of them at `position`."""
        self._recent.append(_Remembered(position, rows))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """No fewer rows are folded than when it began, and no erased one stands there."""
        remembered = sum(len(each.rows) for each in self._recent)
        if self._begun_at >= 0 and remembered <= _REMEMBERED_MAX:
            with self._ledger.connect(with_rows=[PayloadErased.stream]) as connection:
                if self._ledger.rows.folded(connection) >= self._begun_at:
                    yield connection
                    return
        with self._ledger.connect(with_rows=True) as connection:
            if self._begun_at < 0:
                self._begun_at = self._ledger.rows.folded(connection)
            yield connection


class _Remembered:
    """Rows that were recorded, until they are folded."""

    def __init__(self, position: int, rows: NewObservations) -> None:
        self.position = position
        self.rows = rows
        self._at = {identity: index for index, identity in enumerate(rows.identities)}

    def among(self, identities: Set[str]) -> Iterator[tuple[str, Row]]:
        """Those of `identities` that are among them, with the row that came last."""
        for identity in self._at.keys() & identities:
            yield identity, self.rows.row(self._at[identity])
