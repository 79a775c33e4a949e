"""Recording the rows of an upload, a part at a time, while the next part is read and judged.

Recording waits for the disk and for the database, which leave the interpreter to who judges.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from app.cause import Cause
from app.intake.intake import Intake
from app.intake.standing_rows import StandingRows
from app.ledger.new_events import NewObservations, StreamAppend
from app.ledger.store import Ledger
from app.ledger.streams import observations_stream


class Recording:
    """Records the rows of one upload in a thread of its own, which begins with the first of them.

    Leaving it waits for what is being recorded.

    Args:
        ledger: where.
        intake: of the upload; it is told what came of the rows.
        cause: of all of them.
    """

    def __init__(self, ledger: Ledger, intake: Intake, cause: Cause) -> None:
        self._ledger = ledger
        self._intake = intake
        self._cause = cause
        self._standing = StandingRows(ledger, intake.model)
        self._some_known = True  # of the part before; a file that comes again is known on and on
        self._thread = ThreadPoolExecutor(1, "recording")
        self._under_way: Future[None] | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is being recorded; raise what came of it, unless something else did."""
        try:
            if error is None:
                self._wait()
        finally:
            self._thread.shutdown()

    def record(self, rows: NewObservations) -> None:
        """Append those that do not stand so already, once the rows before are recorded.

        Raises:
            LedgerBusy: rows before were not kept, nor were these.
        """
        self._wait()
        if len(rows):
            self._under_way = self._thread.submit(self._record, rows)

    def _wait(self) -> None:
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None

    def _record(self, rows: NewObservations) -> None:
        # The ledger looks again under its lock; it is asked before where it has something to say.
        known = self._ledger.known(rows.ids) if self._some_known else {}
        current, predicted = self._standing.look(rows.identities)
        repeated = len({*rows.identities}) < len(rows)
        new: list[int] = []
        corrections, labelled = set(), set()
        for index, (id, identity) in enumerate(zip(rows.ids, rows.identities, strict=True)):
            if id in known:
                continue
            if identity in current:
                if current[identity] == rows.row(index):
                    continue
                corrections.add(id)
            if identity in predicted:
                labelled.add(id)
            if repeated:
                current[identity] = rows.row(index)
            new.append(index)
        mine = self._appended(rows if len(new) == len(rows) else rows.only(new)) if new else []
        self._some_known = len(mine) < len(rows)
        self._intake.accepted += len(mine)
        self._intake.already_known += len(rows) - len(mine)
        self._intake.corrections += len(corrections.intersection(mine))
        self._intake.labelled_predictions += len(labelled.intersection(mine))

    def _appended(self, new: NewObservations) -> list[str]:
        """The ids of those that were recorded now: others may have been first, row by row."""
        append = StreamAppend(observations_stream(new.model), (new,), None)
        recorded = self._ledger.append([append], self._cause)
        ours = self._cause.correlation_id
        kept = [at for at, entry in enumerate(recorded) if entry.correlation_id == ours]
        mine = new if len(kept) == len(new) else new.only(kept)
        self._standing.recorded(max(entry.position for entry in recorded), mine)
        return [*mine.ids]
