"""Connections are open files: no more are taken than the process may open beside its own files.

Beyond the limit the event loop closes a connection as soon as it has come, without a word to
anybody: the client sees a reset, and the log nothing.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from app.database.storage import StorageFailed
from domain.errors import WhyledgerError

OWN_FILES: Final = 64  # databases, locks, logs, uploads, pipes to workers: open at once at most
_CONNECTIONS_MIN: Final = 10
_BEYOND: Final = 1.2  # so many are open for a moment, to be told that there are too many
_OPEN_FILES: Final = Path("/proc/self/fd")
_FEW: Final = 16  # where the system does not say how many are open


def connections_that_fit(wanted: int) -> tuple[int, str]:
    """How many connections may be open, and one sentence where that is less than `wanted`.

    The process's own limit of open files is raised as far as the system lets it.

    Raises:
        StorageFailed: there is no room for a service at all.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _needed(wanted)
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        if raised > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
    return fitting(wanted, None if soft == resource.RLIM_INFINITY else soft, _open_now())


def fitting(wanted: int, limit: int | None, open_now: int) -> tuple[int, str]:
    """As `connections_that_fit`, with a limit of open files (None: none) and those open now."""
    if limit is None:
        return wanted, ""
    room = int((limit - open_now - OWN_FILES) / _BEYOND)
    if room >= wanted:
        return wanted, ""
    if room < _CONNECTIONS_MIN:
        least = open_now + OWN_FILES + int(_CONNECTIONS_MIN * _BEYOND) + 1
        raise StorageFailed(
            f"this process may open {limit} files, and a service needs at least {least}. Raise the "
            "limit of open files (ulimit -n), and start again."
        )
    return room, (
        f"this process may open {limit} files: at most {room} connections are taken, and not the "
        f"{wanted} of WHYLEDGER_CONNECTIONS_MAX. Raise the limit of open files (ulimit -n) to "
        f"{open_now + OWN_FILES + int(wanted * _BEYOND) + 1} for those."
    )


def no_file_left() -> WhyledgerError | None:
    """Why not one file more can be opened; None where it can."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return StorageFailed.of(error)
    return None


def _needed(connections: int) -> int:
    return _open_now() + OWN_FILES + int(connections * _BEYOND) + 1


def _open_now() -> int:
    return len(os.listdir(_OPEN_FILES)) if _OPEN_FILES.exists() else _FEW
