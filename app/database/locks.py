"""Every lock there is: the writers' lock of the ledger, turns, locks with a name, locks of a file.

All of them are freed by the death of whoever holds them. The writers' lock and a turn end with
their transaction. Who folds into a read model takes his turn at it, with that lock or without; who
needs both takes that one first. A lock with a name says who is at work on something: on a cycle, at
signing. A file's lock makes the processes of one machine take turns.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from app.clock import monotonic_seconds
from app.database.engine import busy_is_refused
from domain.errors import LedgerBusy
from domain.path_parts import path_part

_WRITERS: Final = int.from_bytes(b"whyledgr", signed=True)  # PostgreSQL: one lock per database
_TRY_SECONDS: Final = 0.02
# Both for this transaction only; a database set to commit asynchronously must not acknowledge.
_POSTGRES_PROMISE: Final = text(
    "SELECT set_config('lock_timeout', :milliseconds, true),"
    " set_config('synchronous_commit', 'on', true)"
)

_POSTGRES_BESIDE: Final = text(
    "SELECT set_config('lock_timeout', :milliseconds, true),"
    " set_config('synchronous_commit', 'off', true)"
)

_POSTGRES_TURNS: Final = text(
    "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"
)


def take_lock(connection: Connection, seconds: float) -> None:
    """Begin a transaction on `connection` that alone may append, waiting at most `seconds`.

    SQLite: BEGIN IMMEDIATE. PostgreSQL: an advisory lock that ends with the transaction, under
    READ COMMITTED, so that what is read next is what the last writer left.

    The database's own error says that somebody else held it all the time; see `busy_is_refused`.
    """
    milliseconds = ceil(seconds * 10) * 100 or 1  # rounded, so that it seldom changes
    if connection.dialect.name == "sqlite":
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - narrows for the checker
        if connection.info.get("busy_timeout") != milliseconds:
            raw.execute(f"PRAGMA busy_timeout = {milliseconds}")
            connection.info["busy_timeout"] = milliseconds
        connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        connection.begin()
    else:
        connection.execute(_POSTGRES_PROMISE, {"milliseconds": str(milliseconds)})
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS})


def begin_beside(connection: Connection, seconds: float) -> None:
    """Begin a transaction on PostgreSQL that writes what follows from the ledger, without its lock.

    Its commit need not be on the disk: what is lost with a crash is written again. Each wait for a
    turn takes at most `seconds`.
    """
    connection.execute(_POSTGRES_BESIDE, {"milliseconds": str(ceil(seconds * 1000))})


def take_turns(connection: Connection, names: Iterable[str]) -> None:
    """Until this transaction ends, be the only one at work on each of these; waits for others.

    On SQLite whoever writes is the only one anyway.
    """
    if connection.dialect.name == "sqlite":
        return
    keys = sorted(_key(f"turn {name}") for name in names)  # sorted: nobody waits in a circle
    connection.execute(_POSTGRES_TURNS, {"keys": keys})


class NamedLock:
    """The lock of one thing. Use as `with NamedLock(engine, locks_dir, name) as held: if held: …`.

    A file lock beside SQLite, a session advisory lock on PostgreSQL.

    Args:
        engine: the ledger's database.
        directory: where lock files stand (SQLite only); made when missing.
        name: of what is locked, a cycle's id for example.
    """

    def __init__(self, engine: Engine, directory: Path, name: str) -> None:
        self._engine = engine
        self._path = directory / f"{path_part(name, 'a lock')}.lock"
        self._key = _key(name)
        self._file: int | None = None
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; whether it was free. Raises LedgerBusy, OSError."""
        if self._engine.dialect.name != "sqlite":
            return self._acquire_advisory()
        file = _open(self._path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            try:
                self._connection.execute(
                    text("SELECT pg_advisory_unlock(:key)"), {"key": self._key}
                )
            except DBAPIError:
                self._connection.invalidate()  # the session's end frees the lock as well
            self._connection.close()
            self._connection = None

    def __enter__(self) -> bool:
        """Whether the lock is held inside the block."""
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the lock back."""
        self.release()

    def _acquire_advisory(self) -> bool:
        pool = self._engine.pool
        seconds = pool.timeout() if isinstance(pool, QueuePool) else 0.0
        with busy_is_refused(seconds):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            taken = connection.execute(
                text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
            ).scalar_one()
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True


def _key(name: str) -> int:
    """By which PostgreSQL knows the lock."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)


def is_running(engine: Engine, directory: Path, cycle: str) -> bool:
    """Whether some process holds the cycle's lock right now: that is what *running* means."""
    with NamedLock(engine, directory, cycle) as free:
        return not free


@contextmanager
def exclusive(path: Path, *, make: bool = True, seconds: float | None = None) -> Iterator[None]:
    """Hold the lock of `path` inside the block; waits until it is free.

    Cycles of different models run at once, and share the DVC repository and the MLflow store, which
    both refuse or fail when two processes write at the same moment.

    Args:
        path: the file; it need not be writable.
        make: whether it is made when missing.
        seconds: how long to wait at most; None: as long as its holder's work takes.

    Raises:
        LedgerBusy: somebody else held it all that time.
    """
    file = _open(path) if make else os.open(path, os.O_RDONLY)
    try:
        if seconds is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            _lock_within(file, path, seconds)
        yield
    finally:
        os.close(file)


def _lock_within(file: int, path: Path, seconds: float) -> None:
    deadline = monotonic_seconds() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic_seconds() >= deadline:
                raise LedgerBusy(
                    f"another process held {path} for {seconds:g} s. Try again; if it lasts, look "
                    "at that process."
                ) from None
            time.sleep(_TRY_SECONDS)
        else:
            return


def _open(path: Path) -> int:
    """A descriptor of the file, made when missing, that a child does not inherit."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
