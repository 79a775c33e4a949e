"""Rows that were refused, counted into the ledger: at once the first time, then once a minute.

Bodies are not kept. An event names one door, so of several doors that wait the one with the most
rows goes first. All that waits is written before a cycle starts and when the service ends.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from app.background.outage import Outage
from app.background.repeating import Repeating
from app.cause import Cause
from app.clock import monotonic_seconds, new_id, now
from app.ledger.store import Ledger, NewEvent, StreamAppend
from app.ledger.streams import observations_stream
from domain.errors import WhyledgerError
from domain.events.events import RowsRefused

INTERVAL_SECONDS: Final = 60.0  # between two events of one model
REASONS_MAX: Final = 50  # in one event; further ones are counted as OTHER
REASON_LENGTH_MAX: Final = 120  # characters; a client may invent field names
OTHER: Final = "other reasons"
_LOOK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0  # a service that ends waits so long for an append that hangs
_LOG: Final = logging.getLogger("whyledger.refusals")


@dataclass(slots=True)
class _Waiting:
    rows: int = 0
    cause: Cause | None = None  # of the one request whose rows wait; None: of several
    reasons: Counter[str] = field(default_factory=Counter)


class Refusals:
    """The counts of one process. Safe from any thread."""

    def __init__(self, ledger: Ledger, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._waiting: dict[tuple[str, str], _Waiting] = {}  # by model and door
        self._last_written: dict[str, float] = {}  # by model
        self._lock = threading.Lock()
        self._outage = Outage(_LOG, "refused rows wait", "refused rows are counted again")
        self._looking = Repeating("refusals", self.write_due, _LOOK_SECONDS)

    def count(
        self, model: str, door: str, rows: int, reasons: Mapping[str, int], cause: Cause
    ) -> None:
        """Count `rows` refused rows of a known `model` that came in by `door`, led here by `cause`.

        An event that counts one request's rows has that request's cause. One that gathers several
        requests' is the service's own deed: to name one of them would lay the others' rows at its
        door, and an event has one actor and one correlation.
        """
        with self._lock:
            self._wait(self._waiting.setdefault((model, door), _Waiting()), rows, reasons, cause)
        self.write_due()

    def flush(self, model: str | None = None) -> None:
        """Write everything that waits, of `model` or of all, now.

        Raises:
            LedgerBusy: the ledger did not take it; the counts go on waiting.
        """
        for key in list(self._waiting):
            if model in (None, key[0]):
                self._write(key)

    def write_due(self) -> None:
        """Write what waits and whose minute is over; a ledger that refuses is asked again later."""
        most_first = sorted(self._waiting.items(), key=lambda each: -each[1].rows)
        refused = False
        for key, waiting in most_first:
            if waiting.rows and self._is_due(key[0]):
                try:
                    self._write(key)
                except WhyledgerError as error:
                    self._outage.failed(error, f"{error.message} Those of {key[0]} wait.")
                    refused = True
        if not refused:
            self._outage.over()

    def start(self) -> None:
        """Look once a second, in a thread of its own, whether a minute is over."""
        self._looking.start()

    def close(self) -> None:
        """Write everything that waits and end the thread."""
        self._looking.close(_PATIENCE_SECONDS)
        try:
            self.flush()
        except WhyledgerError as error:
            _LOG.error("refused rows were not written: %s", error.message)

    @staticmethod
    def _wait(
        waiting: _Waiting, rows: int, reasons: Mapping[str, int], cause: Cause | None
    ) -> None:
        waiting.cause = None if waiting.rows else cause
        waiting.rows += rows
        _add(waiting.reasons, reasons)

    def _is_due(self, model: str) -> bool:
        last = self._last_written.get(model)
        return last is None or self._monotonic() - last >= INTERVAL_SECONDS

    def _write(self, key: tuple[str, str]) -> None:
        model, door = key
        with self._lock:
            waiting = self._waiting[key]
            if not waiting.rows:
                return
            event = RowsRefused(
                model=model, door=door, rows=waiting.rows, reasons=dict(waiting.reasons)
            )
            before, cause = self._last_written.get(model), waiting.cause
            self._last_written[model] = self._monotonic()
            waiting.rows, waiting.reasons, waiting.cause = 0, Counter(), None
        try:
            self._ledger.append(
                [
                    StreamAppend(
                        observations_stream(model),
                        (NewEvent(event=event, id=new_id(), occurred_at=now()),),
                        None,
                    )
                ],
                cause or Cause.unauthenticated(new_id()),
            )
        except BaseException:
            with self._lock:  # nothing was kept, so it waits again
                self._wait(waiting, event.rows, event.reasons, cause)
                if before is None:
                    del self._last_written[model]
                else:
                    self._last_written[model] = before
            raise


def bounded_reasons(reasons: Mapping[str, int]) -> dict[str, int]:
    """`reasons` as an event may hold them: few, short, the rest counted together."""
    counted: Counter[str] = Counter()
    _add(counted, reasons)
    return dict(counted)


def _add(counted: Counter[str], reasons: Mapping[str, int]) -> None:
    for reason, count in reasons.items():
        short = reason[:REASON_LENGTH_MAX]
        counted[short if short in counted or len(counted) < REASONS_MAX else OTHER] += count
