"""Notices each file and directory that a process makes where others could look into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

# Whatever makes a file, ours, MLflow's or a library in C, the umask bounds its mode from the first
# byte; so that is looked at whenever something is made, and each mode that is set afterwards.
_PROGRAM: Final = """
import os, sys
STATE, REPORT = os.environ["WATCHED_STATE"], os.environ["WATCHED_REPORT"]
def report(said):
    descriptor = os.open(REPORT, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, (said + "\\n").encode())
    os.close(descriptor)
def umask():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("Umask:")).split()[1], 8)
def look(event, arguments):
    if event not in ("open", "os.mkdir", "os.chmod", "sqlite3.connect"):
        return
    path = arguments[0]
    if isinstance(path, int) or not os.path.abspath(os.fsdecode(path)).startswith(STATE):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
        return
    if event == "os.chmod":
        if arguments[1] & 0o077:
            report(f"{path} is given the mode {arguments[1]:o}")
    elif umask() & 0o077 != 0o077:
        report(f"{event} {path} under the umask {umask():o}")
sys.addaudithook(look)
"""


class WatchedFiles:
    """Watches processes that are started with its environment, and those that they start.

    Args:
        state: the directory that is watched.
        folder: an empty one, for the watcher itself.
    """

    def __init__(self, state: Path, folder: Path) -> None:
        self._report = folder / "report"
        self._report.touch()
        (folder / "sitecustomize.py").write_text(_PROGRAM)
        self.environment = {
            "PYTHONPATH": os.pathsep.join([str(folder), *_paths()]),
            "WATCHED_STATE": str(state),
            "WATCHED_REPORT": str(self._report),
        }

    def open_to_others(self) -> list[str]:
        """What was made, or set, as it must not be."""
        return self._report.read_text().splitlines()


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
