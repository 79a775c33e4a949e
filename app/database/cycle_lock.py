"""Who is running a cycle: a lock that the system frees when its holder dies.

A file lock beside SQLite, a session advisory lock on PostgreSQL. *Running* means: somebody holds
it.
"""

from __future__ import annotations

import fcntl
import hashlib
from pathlib import Path
from types import TracebackType
from typing import IO

from sqlalchemy import Connection, Engine, text


class CycleLock:
    """The lock of one cycle. Use as `with CycleLock(engine, locks_dir, cycle) as held: if held: …`.

    Args:
        engine: the ledger's database.
        directory: where lock files stand (SQLite only); made when missing.
        cycle: the cycle's id.
    """

    def __init__(self, engine: Engine, directory: Path, cycle: str) -> None:
        self._engine = engine
        self._path = directory / f"{cycle}.lock"
        self._key = int.from_bytes(hashlib.sha256(cycle.encode()).digest()[:8], signed=True)
        self._file: IO[bytes] | None = None
        self._connection: Connection | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; whether it was free."""
        if self._engine.dialect.name == "sqlite":
            return self._acquire_file()
        return self._acquire_advisory()

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._connection is not None:
            # The session's end frees the lock even if this statement never arrives.
            self._connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": self._key})
            self._connection.invalidate()
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

    def _acquire_file(self) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def _acquire_advisory(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = connection.execute(
            text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key}
        ).scalar_one()
        if not taken:
            connection.close()
            return False
        self._connection = connection
        return True


def is_running(engine: Engine, directory: Path, cycle: str) -> bool:
    """Whether some process holds the cycle's lock right now."""
    with CycleLock(engine, directory, cycle) as free:
        return not free
