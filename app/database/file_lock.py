"""Take turns with other processes on this machine: a file lock that its holder's death frees."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock of `path` (made when missing) inside the block; waits until it is free.

    Cycles of different models run at once, and share the DVC repository and the MLflow store, which
    both refuse or fail when two processes write at the same moment.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
