"""What the service writes is its owner's alone: directories 0700, files 0600, from the first byte.

The umask of a process reaches every file it makes, those too that MLflow, DVC and SQLite make; so
each process of ours sets it before anything else. What was made wider, by an earlier version or a
restored back-up, is narrowed when a service or a worker starts, and said.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from app.database.rows_file import ROWS_MARK
from app.settings import Settings

_UMASK: Final = 0o077
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OF_SQLITE: Final = ("", "-wal", "-shm", "-journal")  # what stands beside a file of its, by turns
# What a state directory holds. Anything else in it is somebody's, and not ours to change.
_OURS: Final = (
    *(f"{name}{end}" for name in ("ledger.db", "mlflow.db") for end in _OF_SQLITE),
    *("keys", "locks", "logs", "merged", "mlartifacts", "quarantine", "registry", "replay"),
    "service.log",  # the demo's
)
_ROWS: Final = f"ledger.db{ROWS_MARK}"  # and a version
_LOG: Final = logging.getLogger("whyledger.files")


def keep_private() -> None:
    """Let everything this process makes from now on be its owner's alone; call it first."""
    os.umask(_UMASK)


def narrow_state(settings: Settings) -> int:
    """Take from others what they may do with the state; how many files and directories it was.

    The signing key is left: who starts the service must hear that others could read it. A link is
    left, and what it leads to.
    """
    state = settings.state_dir
    places = [state / name for name in _OURS]
    database = settings.ledger_url.removeprefix("sqlite:///")
    if database != settings.ledger_url:
        file = Path(database.split("?", 1)[0])
        places += [file.with_name(file.name + end) for end in _OF_SQLITE]
        places += file.parent.glob(f"{file.name}{ROWS_MARK}*")
    narrowed = narrow(places, but=settings.signing_key_path)
    if state.is_dir() and state.stat().st_mode & _OTHERS:
        there = {path.name for path in state.iterdir()}
        strangers = {name for name in there - {*_OURS} if not name.startswith(_ROWS)}
        if strangers:
            _LOG.warning(
                "others may look into %s, and it holds what is not ours (%s): its mode is left. "
                "Give the state a directory of its own (WHYLEDGER_STATE_DIR).",
                state,
                sorted(strangers)[0],
            )
        else:
            narrowed += narrow([state], within=False)
    if narrowed:
        _LOG.warning(
            "%d files and directories of the state in %s were open to others, and are not any "
            "more. Ask yourself who has read them.",
            narrowed,
            state,
        )
    return narrowed


def narrow(places: Sequence[Path], *, but: Path | None = None, within: bool = True) -> int:
    """Take from others what they may do with these, and `within` them; how many it was.

    One that is another user's, or stands where nothing may be written, is left, and said.
    """
    narrowed = 0
    for path in _all_of(places, within):
        try:
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) or not mode & _OTHERS or path == but:
                continue
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
        except FileNotFoundError:
            continue  # a log of the database, gone meanwhile
        except OSError as error:  # another user's; a file system that is read-only, or has no modes
            _LOG.warning("%s is open to others and cannot be narrowed: %s", path, error.strerror)
            continue
        narrowed += 1
    return narrowed


def _all_of(places: Sequence[Path], within: bool) -> Iterator[Path]:
    """The places that are there; of a directory what it holds, and it."""
    for place in places:
        if not os.path.lexists(place):
            continue
        if within and place.is_dir() and not place.is_symlink():
            for folder, folders, files in os.walk(place):
                yield from (Path(folder) / name for name in (*folders, *files))
        yield place
