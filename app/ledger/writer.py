"""Group commit: one writer a process drains what waits into one transaction.

Callers prepare bytes and hashes outside the lock and wait for the commit that holds them. The queue
is bounded: what finds it full is refused at once, and what was taken is always answered, after the
commit and never before.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from typing import Final, NamedTuple

from sqlalchemy import Connection

from app.clock import monotonic_seconds
from app.ledger.batch import PreparedAppend
from app.ledger.commit import Committed, Project, ReadModelsBehind, commit_all
from app.ledger.wrong_rows import FoldingAnew
from domain.errors import LedgerBusy, ReadModelUnfit

_LOG: Final = logging.getLogger("whyledger.ledger")
QUEUE_ROWS_MAX: Final = 10_000  # that may wait; an append that finds the queue empty always may
DRAIN_ROWS_MAX: Final = 2_000  # in one transaction, unless one append alone holds more
GATHER_FROM_SECONDS: Final = 0.001  # a quicker commit is not worth waiting to share
GATHER_SHARE: Final = 0.5  # of the last commit's time that the next one may be put off
GATHER_SECONDS_MAX: Final = 0.002
IDLE_SECONDS: Final = 10.0  # after which the thread ends; the next append starts another

# Opens a transaction under the ledger's lock; the argument is when waiting for the lock ends.
Begin = Callable[[float], AbstractContextManager[Connection]]
Answer = Committed | BaseException


class _Waiting(NamedTuple):
    """One append in the queue, and who waits for it."""

    append: PreparedAppend
    rows: int
    deadline: float  # monotonic seconds
    thread: Future[Committed] | None
    task: asyncio.Future[Committed] | None


class Writer:
    """The one writer of a process. Safe from any thread and any event loop.

    Args:
        begin: opens a transaction that holds the ledger's lock and commits at its end.
        project: folds what was placed into the read models, in the same transaction.
        catch_up: folds what others appended without them, when that is too much for one.
        fold_anew: folds all of them again, when somebody changed them.
        anew: whether it may.
        wait_seconds: how long an append may wait for the lock.
        queue_max: rows that may wait; one append of more is taken when nothing else waits.
    """

    def __init__(
        self,
        begin: Begin,
        project: Project,
        catch_up: Callable[[], None],
        fold_anew: Callable[[], object],
        *,
        anew: FoldingAnew,
        wait_seconds: float,
        queue_max: int = QUEUE_ROWS_MAX,
    ) -> None:
        self._begin = begin
        self._project = project
        self._catch_up = catch_up
        self._fold_anew = fold_anew
        self._anew = anew
        self._wait_seconds = wait_seconds
        self._queue_max = queue_max
        self._queue: deque[_Waiting] = deque()
        self._rows = 0  # in the queue
        self._wanted = 1  # appends in the queue that the thread sleeps for
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._refusal: LedgerBusy | None = None  # of the last transaction

    def append(self, append: PreparedAppend) -> Committed:
        """Queue `append` and wait, in this thread, for its commit.

        Raises:
            LedgerBusy: the queue is full, or the ledger could not be written in time.
            VersionConflict, IdempotencyConflict: refused; nothing of it was kept.
            BaseException: whatever its check raised, or made the commit fail.
        """
        future: Future[Committed] = Future()
        self._put(append, future, None)
        return future.result()

    async def append_soon(self, append: PreparedAppend) -> Committed:
        """As `append`, without a thread: the event loop goes on meanwhile.

        A caller that is cancelled no longer hears of it; what was taken is committed all the same.
        """
        future: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._put(append, None, future)
        return await future

    def close(self) -> None:
        """Write what waits, then end the thread."""
        with self._changed:
            thread = self._thread
            self._closing = True
            self._changed.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self._changed:
            self._closing = False

    def _put(
        self,
        append: PreparedAppend,
        thread: Future[Committed] | None,
        task: asyncio.Future[Committed] | None,
    ) -> None:
        rows = append.rows
        deadline = monotonic_seconds() + self._wait_seconds
        with self._changed:
            if self._queue and self._rows + rows > self._queue_max:
                raise LedgerBusy(
                    f"{self._rows} rows wait to be written and at most {self._queue_max} may; "
                    "nothing was kept. Try again in a moment."
                )
            self._queue.append(_Waiting(append, rows, deadline, thread, task))
            self._rows += rows
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
                self._thread.start()
            elif len(self._queue) >= self._wanted:
                self._changed.notify()

    def _run(self) -> None:
        batch: list[_Waiting] = []
        try:
            while batch := self._next():
                began = monotonic_seconds()
                self._write(batch)
                self._gather(len(batch), monotonic_seconds() - began)
        except BaseException as error:
            self._abandon(batch, error)
            raise

    def _next(self) -> list[_Waiting]:
        """What goes into the next transaction; nothing when the thread shall end."""
        with self._changed:
            while not self._queue:
                if self._closing or not self._changed.wait(IDLE_SECONDS):
                    if self._queue:
                        break  # it came in the moment the wait ended
                    self._thread = None
                    return []
            batch = [self._queue.popleft()]
            rows = batch[0].rows
            while (
                self._queue
                and not batch[0].append.alone
                and not self._queue[0].append.alone
                and rows + self._queue[0].rows <= DRAIN_ROWS_MAX
            ):
                rows += self._queue[0].rows
                batch.append(self._queue.popleft())
            self._rows -= rows
            return batch

    def _gather(self, answered: int, seconds: float) -> None:
        """After a slow commit, wait a part of its time for those it answered to ask again.

        Otherwise half of the producers would always wait for the other half's commit. One producer
        alone never waits, and nobody waits longer than `GATHER_SECONDS_MAX`.
        """
        with self._changed:
            producers = answered + len(self._queue)
            if producers == 1 or not self._queue or seconds < GATHER_FROM_SECONDS:
                return
            self._wanted = producers
            self._changed.wait(min(seconds * GATHER_SHARE, GATHER_SECONDS_MAX))
            self._wanted = 1

    def _write(self, batch: Sequence[_Waiting]) -> None:
        answers: Sequence[Answer]
        try:
            if self._refusal is not None:
                batch = self._in_time(batch, self._refusal)
                if not batch:
                    return
            answers = self._committed([waiting.append for waiting in batch], batch[0].deadline)
            self._refusal = None
        except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait must hear it
            self._refusal = error if isinstance(error, LedgerBusy) else None
            answers = [error] * len(batch)
        _answer(batch, answers)

    def _in_time(self, batch: Sequence[_Waiting], refusal: LedgerBusy) -> list[_Waiting]:
        """Those whose time is not over. The others have waited for nothing but the last refusal,
        and would wait for another."""
        now = monotonic_seconds()
        late = [waiting for waiting in batch if waiting.deadline < now]
        _answer(late, [refusal] * len(late))
        return [waiting for waiting in batch if waiting.deadline >= now]

    def _committed(self, appends: Sequence[PreparedAppend], deadline: float) -> Sequence[Answer]:
        tried = False
        while True:
            try:
                with self._begin(deadline) as connection:
                    return commit_all(connection, appends, self._project)
            except ReadModelsBehind:
                self._catch_up()  # others append between its pages
                deadline = monotonic_seconds() + self._wait_seconds
            except ReadModelUnfit as error:
                if tried:
                    self._anew.did_not_help()
                if not self._anew.may_help():
                    raise
                tried = True
                _LOG.error("%s", error)
                try:
                    self._fold_anew()
                except BaseException:
                    self._anew.did_not_help()
                    raise
                deadline = monotonic_seconds() + self._wait_seconds

    def _abandon(self, batch: Sequence[_Waiting], error: BaseException) -> None:
        """The thread ends on a mistake of ours: nobody may go on waiting for it."""
        with self._changed:
            abandoned = [*batch, *self._queue]
            self._queue.clear()
            self._rows = 0
            self._thread = None
        reason = LedgerBusy(
            f"the ledger's writer ended ({type(error).__name__}: {error}); whether this was kept "
            "is not known. Try again with the same id."
        )
        _answer(abandoned, [reason] * len(abandoned))


def _answer(batch: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Tell everybody; each event loop is woken once, however many of its tasks wait."""
    tasks: defaultdict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Committed], Answer]]]
    tasks = defaultdict(list)
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.task is not None:
            tasks[waiting.task.get_loop()].append((waiting.task, answer))
        elif waiting.thread is not None and not waiting.thread.done():
            if isinstance(answer, BaseException):
                waiting.thread.set_exception(answer)
            else:
                waiting.thread.set_result(answer)
    for loop, settled in tasks.items():
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
            loop.call_soon_threadsafe(_settle, settled)


def _settle(settled: Sequence[tuple[asyncio.Future[Committed], Answer]]) -> None:
    for future, answer in settled:
        if future.done():
            continue  # cancelled: the client has gone
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
