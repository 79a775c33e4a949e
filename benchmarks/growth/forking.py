"""Commands forked from one process that has imported what they run: for a run that only tests read.

Python's imports are most of what a command costs on a ledger of some hundred rows. A run whose
figures mean something starts each command anew, as people do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from benchmarks.servers import ROOT

_IMPORTED: Final = ("app.cli.main", "app.training.tracking", "benchmarks.growth.rebuilding")


class Forked:
    """One command, as `subprocess.Popen` gives it.

    Args:
        pid: its process.
        parent: who says how it ended.
    """

    def __init__(self, pid: int, parent: subprocess.Popen[str]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it, once it has ended."""
        self.returncode = _heard(self._parent)
        return self.returncode


class Forks:
    """Where commands are forked, one at a time."""

    def __init__(self, parent: subprocess.Popen[str]) -> None:
        self._parent = parent

    def start(
        self, module: str, words: Sequence[str], environment: Mapping[str, str], out: str, err: str
    ) -> Forked:
        """Call `main` of the module as a program of its own, whose words go to these files."""
        asked = [module, list(words), dict(environment), out, err]
        assert self._parent.stdin is not None
        print(json.dumps(asked), file=self._parent.stdin, flush=True)
        return Forked(_heard(self._parent), self._parent)


@contextmanager
def forking() -> Iterator[Forks]:
    """A process to fork from, which ends at the end."""
    command = [sys.executable, "-m", __name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as parent:
        yield Forks(parent)


def _heard(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    return int(parent.stdout.readline())


def main() -> None:
    """Fork what is asked for, until nobody can ask any more."""
    for name in _IMPORTED:
        import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(*asked)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _run(module: str, words: Sequence[str], environment: dict[str, str], *files: str) -> None:
    for number, path in enumerate((os.devnull, *files)):
        os.dup2(os.open(path, os.O_RDWR), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *words]
    run: Any = import_module(module)
    sys.exit(run.main())


if __name__ == "__main__":
    main()
