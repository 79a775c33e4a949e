"""What-ifs as processes: several side by side, their progress added up, and none left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import orjson

from app.audit.whatif import WhatIf
from app.cycle.starting import worker_environment
from app.settings import Settings
from domain.errors import NothingToDecide, WhyledgerError

_LOG_TAIL: Final = 300  # characters of a dead worker's log, in the message
Progress = Callable[[int, int], None]  # cycles lived again, of how many, over all runs


class WhatIfFailed(WhyledgerError):
    """A what-if came to no end. `problem` is the code of what its process was refused by."""

    code = "what-if-failed"

    def __init__(self, message: str, problem: str = "") -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Run:
    """One model to be lived again under one policy."""

    model: str
    policy: dict[str, Any]  # its parsed document
    cycles: int  # how many the model has


def what_ifs(
    settings: Settings, runs: Sequence[Run], progress: Progress = lambda done, of: None
) -> list[WhatIf]:
    """Each run in a process of its own, as many at once as there are processors; in their order.

    Raises:
        NothingToDecide: none of the models has a cycle.
        WhatIfFailed: one of them was refused, or died; the others are ended.
    """
    if not sum(run.cycles for run in runs):
        raise NothingToDecide(
            "no cycle was run yet, so there is nothing to live again. Run a cycle first."
        )
    working = _Working(settings, len(runs), sum(run.cycles for run in runs), progress)
    with ThreadPoolExecutor(max(1, min(len(runs), os.cpu_count() or 1))) as together:
        futures = [together.submit(working.run, index, run) for index, run in enumerate(runs)]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C too: nobody waits for the others
            for future in futures:
                future.cancel()
            working.end()
            raise


class _Working:
    """The processes at work, and how far each has come."""

    def __init__(self, settings: Settings, runs: int, cycles: int, progress: Progress) -> None:
        self._settings, self._progress, self._cycles = settings, progress, cycles
        self._done = [0] * runs
        self._lock = Lock()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ended = False

    def run(self, index: int, run: Run) -> WhatIf:
        """One run to its end, in a directory that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="whyledger-whatif-") as folder:
            log = Path(folder) / "worker.log"
            with log.open("wb") as errors:
                process = self._start(run, Path(folder) / "state", errors)
            said: dict[str, Any] = {}
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            with suppress(BrokenPipeError):  # it died at once: its log says why
                process.stdin.write(orjson.dumps(run.policy))
                process.stdin.close()
            for line in process.stdout:
                said = orjson.loads(line)
                if "done" in said:
                    self._advance(index, said["done"])
            code = process.wait()
            process.stdout.close()
            if "found" in said:
                return WhatIf.from_document(said["found"])
            reason = said.get("refused") or (
                f"its process ended with exit code {code}: {log.read_text()[-_LOG_TAIL:].strip()}"
            )
        raise WhatIfFailed(f"{run.model} was not lived again: {reason}", said.get("code", ""))

    def end(self) -> None:
        """End every process, those too that are about to start."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.kill()

    def _start(self, run: Run, state: Path, errors: Any) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise WhatIfFailed(
                    f"{run.model} was not lived again: another one failed. Mend that one first."
                )
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.cycle.whatif_worker", run.model, str(state)],
                env=worker_environment(self._settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            self._processes.append(process)
        return process

    def _advance(self, index: int, done: int) -> None:
        with self._lock:
            self._done[index] = done
            self._progress(sum(self._done), self._cycles)
