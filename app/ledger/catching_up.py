"""Folding into read models what others appended without them, a page a transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.clock import monotonic_seconds
from app.database.engine import in_plain_words
from app.ledger.commit import Project
from app.ledger.known_damage import refuse_to_begin
from app.ledger.wrong_rows import OVER_WRONG_ROWS, FoldingAnew

_LOG: Final = logging.getLogger("whyledger.ledger")
_PAUSE_SHARE: Final = 1.0  # of a page's time until the next: SQLite's lock is not fair
_PAUSE_SHARE_BESIDE: Final = 0.25  # where nobody waits for a lock
Progress = Callable[[int, int], None]
Begin = Callable[[float], AbstractContextManager[Connection]]
BeginBeside = Callable[[], AbstractContextManager[Connection | None]]


class CatchingUp:
    """Catches up with the read models of one ledger.

    Args:
        project: folds.
        begin: opens a transaction that holds the ledger's lock, waiting for it until a moment.
        begin_beside: opens one that does not; None where there is none.
        snapshot: opens one to read in.
        wait_seconds: how long to wait for the lock.
        anew: whether what does not fit may be folded anew.
    """

    def __init__(
        self,
        project: Project,
        begin: Begin,
        begin_beside: BeginBeside,
        snapshot: Callable[[], AbstractContextManager[Connection]],
        wait_seconds: float,
        anew: FoldingAnew,
    ) -> None:
        self._project = project
        self._begin = begin
        self._begin_beside = begin_beside
        self._snapshot = snapshot
        self._wait_seconds = wait_seconds
        self._anew = anew

    def catch_up(self, progress: Progress, *, tried: bool = False) -> None:
        """Fold what is missing in the read models; killed, it goes on where it was.

        On PostgreSQL others append while all pages are folded but the first and the last.
        `progress` is told how many entries of how many are folded, after each page but the last.

        Raises:
            LedgerBusy: the lock did not come free in time.
            LedgerDamaged: the positions have a gap; or read models are to be folded from the first
                entry on, and would lack one that is not what its hash says.
        """
        pages = 0
        while True:
            began = monotonic_seconds()
            try:
                beside = self._fold_beside() if pages else None
                done, of = beside or self._fold_under_lock()
            except (DBAPIError, *OVER_WRONG_ROWS) as error:  # somebody changed them, or how far
                if tried and isinstance(error, OVER_WRONG_ROWS):  # they are said to be
                    self._anew.did_not_help()
                if tried or not self._anew.may_help():
                    raise
                tried = True
                said = in_plain_words(error)
                _LOG.warning("read models that do not fit are folded anew: %s", said)
                self._drop()
                continue
            if done >= of:
                return
            pages += 1
            seconds = monotonic_seconds() - began
            progress(done, of)
            time.sleep(seconds * (_PAUSE_SHARE if beside is None else _PAUSE_SHARE_BESIDE))

    def fold_anew(self, progress: Progress) -> None:
        """Drop the read models and fold them from the first entry on. Raises as `catch_up`."""
        self._drop()
        self.catch_up(progress, tried=True)

    def _fold_under_lock(self) -> tuple[int, int]:
        with self._snapshot() as connection:
            begins = self._project.begins(connection)
        if begins:
            refuse_to_begin(self._snapshot)  # which takes as long as there are entries
        with self._begin(monotonic_seconds() + self._wait_seconds) as connection:
            return self._project.catch_up(connection, begin=begins)

    def _fold_beside(self) -> tuple[int, int] | None:
        """A page without the ledger's lock; None: it must be taken, as always on SQLite."""
        with self._begin_beside() as connection:
            return None if connection is None else self._project.fold_beside(connection)

    def _drop(self) -> None:
        refuse_to_begin(self._snapshot)  # before they are dropped, who may be the last to hold it
        with self._begin(monotonic_seconds() + self._wait_seconds) as connection:
            self._project.begin_anew(connection)
