"""The demo in a process of its own, and every process that it left, found by what it inherited."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.app.cli.command_line import TRACKED
from tests.patience import HANGS_SECONDS
from tests.repository import REPOSITORY

_MARK = "DEMO_UNDER_TEST"


def environment(state: Path, **changed: str) -> dict[str, str]:
    """What a process of this test is given; whatever it starts inherits the mark."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(TRACKED)}
    own = {_MARK: str(state), "WHYLEDGER_STATE_DIR": str(state / "state"), "COLUMNS": "160"}
    return kept | own | changed


def start(command: str, given: Mapping[str, str]) -> subprocess.Popen[str]:
    """A shell's command, run where the repository is; its words are read from its pipes."""
    return subprocess.Popen(
        command.replace("python", sys.executable, 1).split(),
        cwd=REPOSITORY,
        env=dict(given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error, once it has ended."""
    said, errors = process.communicate(timeout=HANGS_SECONDS)
    return process.returncode, said, errors


def alive(state: Path) -> list[str]:
    """The command lines of the processes that carry the mark; what is dead has none."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if f"{_MARK}={state}\0".encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # it is no process, has just ended, or is somebody else's
    return found


def sleeping_start(folder: Path, words: str) -> dict[str, str]:
    """What makes every `whyledger WORD` of the test run `words` (Python) before it begins."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(words)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}"}
