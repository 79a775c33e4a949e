"""Notices each file and directory that a process makes where others could look into it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_BY_DVC: Final = ", by DVC within a folder that is its owner's alone"
# Whatever makes a file, ours, MLflow's or a library in C, the umask bounds its mode from the first
# byte; so that is looked at whenever something is made, and each mode that is set afterwards.
# DVC puts the umask of its process aside, and lets everybody read what it keeps. What is its own
# doing tells the call: some frame of it is DVC's. That is nobody's to see as long as the folder it
# keeps everything in is its owner's alone, which is looked at in the same moment.
_PROGRAM: Final = """
import os, sys
BY_DVC = os.environ["WATCHED_BY_DVC"]
STATE, REPORT = os.environ["WATCHED_STATE"], os.environ["WATCHED_REPORT"]
PLACES = (STATE, *filter(None, os.environ["WATCHED_BESIDE"].split(os.pathsep)))
def report(said):
    descriptor = os.open(REPORT, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, (said + "\\n").encode())
    os.close(descriptor)
def umask():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("Umask:")).split()[1], 8)
def of_dvc(path):
    frame, merged = sys._getframe(), os.path.join(STATE, "merged")
    while frame and not frame.f_globals.get("__name__", "").startswith("dvc"):
        frame = frame.f_back
    if not frame or not os.path.abspath(os.fsdecode(path)).startswith(merged + os.sep):
        return False
    return not os.stat(merged).st_mode & 0o077
def look(event, arguments):
    if event not in ("open", "os.mkdir", "os.chmod", "sqlite3.connect"):
        return
    path = arguments[0]
    if isinstance(path, int) or not os.path.abspath(os.fsdecode(path)).startswith(PLACES):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & os.O_CREAT):
        return
    if event == "os.chmod" and arguments[1] & 0o077:
        said = f"{path} is given the mode {arguments[1]:o}"
    elif event != "os.chmod" and umask() & 0o077 != 0o077:
        said = f"{event} {path} under the umask {umask():o}"
    else:
        return
    report(f"{said}{BY_DVC}" if of_dvc(path) else said)
sys.addaudithook(look)
"""


class WatchedFiles:
    """Watches processes that are started with its environment, and those that they start.

    Args:
        state: the state directory, which is watched.
        folder: an empty one, for the watcher itself.
        beside: other directories that are watched.
    """

    def __init__(self, state: Path, folder: Path, *beside: Path) -> None:
        self._report = folder / "report"
        self._report.touch()
        (folder / "sitecustomize.py").write_text(_PROGRAM)
        self.environment = {
            "PYTHONPATH": os.pathsep.join([str(folder), *_paths()]),
            "WATCHED_STATE": str(state),
            "WATCHED_BESIDE": os.pathsep.join(map(str, beside)),
            "WATCHED_REPORT": str(self._report),
            "WATCHED_BY_DVC": _BY_DVC,
        }

    def open_to_others(self) -> list[str]:
        """What was made, or set, as it must not be."""
        return [said for said in self._said() if not said.endswith(_BY_DVC)]

    def by_dvc(self) -> list[str]:
        """What DVC made, or set, as it does, where nobody else gets to."""
        return [said for said in self._said() if said.endswith(_BY_DVC)]

    def _said(self) -> list[str]:
        return self._report.read_text().splitlines()


def _paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
