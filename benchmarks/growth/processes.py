"""Commands of ours in processes of their own: how long they take, and the memory they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.settings import Settings
from benchmarks.servers import ROOT

_LOOK_SECONDS: Final = 0.02  # between two looks at a process's memory
_PEAK: Final = "VmHWM:"  # the most that was resident, in KiB


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended well."""

    seconds: float
    peak_mb: float  # the most of the processes it was; 0 where the system does not say
    answer: Any  # the JSON it wrote


def command(settings: Settings, *words: str) -> Ran:
    """Run `whyledger` with these words, the last of which asks for JSON. Raises as `program`."""
    return program("app.cli.main", settings, *words)


def program(module: str, settings: Settings, *words: str) -> Ran:
    """Run a module that writes JSON, under these settings.

    Raises:
        RuntimeError: it ended otherwise than with 0.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env={**os.environ, **settings.as_environment()},
            stdout=subprocess.PIPE,
            stderr=said,
        )
        watch = Peak(process.pid)
        answer, _ = process.communicate()
        seconds = time.perf_counter() - began
        peak_mb = watch.end()
        if process.returncode:
            said.seek(0)
            found = said.read().decode(errors="replace")[-2000:]
            named = " ".join((module, *words[:1]))
            raise RuntimeError(f"{named} ended with {process.returncode}: {found}")
    return Ran(seconds, peak_mb, json.loads(answer))


class Peak:
    """Watches how much memory a process takes, and each that it begins, until told to end."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0.0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def end(self) -> float:
        """The most that one of them took by now, in MB."""
        self._ending.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while True:
            for pid in family(self._pid):
                self._most = max(self._most, peak_mb(pid))
            if self._ending.wait(_LOOK_SECONDS):
                return


def peak_mb(pid: int) -> float:
    """The most memory that the process held by now, in MB; 0 where that is not said."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) / 1024
    return 0.0


def family(pid: int) -> list[int]:
    """The process, those that it began and that have not ended, and theirs."""
    found = [pid]
    for each in found:
        with suppress(OSError):  # it ended meanwhile
            for task in os.listdir(f"/proc/{each}/task"):
                children = Path(f"/proc/{each}/task/{task}/children")
                found += map(int, children.read_text(encoding="utf-8").split())
    return found


def bytes_below(directory: Path) -> int:
    """The bytes of all files in the directory and below."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
