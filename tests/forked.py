"""Real processes, really killed, that need not import what they run: forked from one that has."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from tests.patience import HANGS_SECONDS, until

FORKING: Final = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(
    [
        "app.main",
        "app.cycle.worker",
        "app.cycle.steps.fitting",
        "tests.forked",
        "tests.ledger_events",
    ]
)
_ONE_AT_A_TIME: Final = threading.Lock()  # to start one process looks after all the others


class Forked:
    """One process that calls `run`, as `subprocess.Popen` gives it; it ends with what that gives.

    Args:
        run: a function of a module, which gives an exit code or None.
        arguments: what it is called with.
        environment: that of the process.
        log: where its words go; to nowhere unless told.
    """

    def __init__(
        self,
        run: Callable[..., int | None],
        arguments: tuple[Any, ...],
        environment: Mapping[str, str],
        log: Path = Path(os.devnull),
    ) -> None:
        self._process = FORKING.Process(
            target=_run, args=(run, arguments, dict(environment), log), daemon=True
        )
        with _ONE_AT_A_TIME:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that killed it; None while it runs."""
        return self.poll()

    def poll(self) -> int | None:
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def wait(self, timeout: float = HANGS_SECONDS) -> int:
        del timeout  # `until` has its own
        until(lambda: self.poll() is not None)
        code = self.poll()
        assert code is not None
        return code

    def kill(self) -> None:
        """kill -9, whatever it does."""
        with _ONE_AT_A_TIME:
            self._process.kill()


def _run(
    run: Callable[..., int | None],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    log: Path,
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    raise SystemExit(run(*arguments))
