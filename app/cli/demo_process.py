"""The processes of the demo: its own service, and `replay` beside it; none of them outlives it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

import httpx
import orjson

from app.cli.remote import client_of
from app.cli.terminal import ERR, CommandRefused, ServiceUnreachable, note
from app.clock import monotonic_seconds, now

_SILENT_SECONDS: Final = 300.0  # a start that says nothing for so long hangs
_LOOK_SECONDS: Final = 0.1  # between looks whether the service answers
_TOLD_SECONDS: Final = 10  # between words about the waiting, where no terminal shows them count
_ENDING_SECONDS: Final = 10.0  # for a process to end by itself; what it kept is safe in any case
_TAIL_LINES: Final = 15  # of the log, when the service has failed
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_unwind() -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP leave the block by `SystemExit`, as shells number it: 128 + n."""

    def unwind(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    # What is ignored from outside (nohup) stays so.
    heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, unwind) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def running_service(run_dir: Path, port: int) -> Iterator[str]:
    """The address of the real service, ready to answer, in a process of its own.

    Raises:
        CommandRefused: it did not come up, or ended too early; its own last words say why.
    """
    address = f"http://127.0.0.1:{port}"
    log_path = run_dir / "service.log"
    with log_path.open("ab") as log:
        log.write(f"{now()} whyledger serve --port {port} is started\n".encode())
        log.flush()
        with _child(run_dir, "serve", "--port", str(port), stdout=log, stderr=log) as process:
            _await_ready(process, address, log_path)
            try:
                yield address
            except ServiceUnreachable as error:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)  # it may be on its way out
                    raise _failed(process, log_path) from error
                raise


def free_port(port: int) -> int:
    """`port`, or a free one when it is taken: never speak to somebody else's service."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                note(f"port {port} is taken; another one is used")
                continue
            found: int = probe.getsockname()[1]
            return found
    raise CommandRefused("no free port on 127.0.0.1; end another service and try again")


def replay(run_dir: Path) -> dict[str, Any]:
    """`whyledger replay` on the ledger that the service is writing: equal digests, or it fails."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with _child(run_dir, "replay", "--json", **pipes) as process:
        said, errors = process.communicate()
    if process.returncode != 0:
        raise CommandRefused(
            f"replay ended with exit code {process.returncode}: {errors.decode().strip()}"
        )
    answer: dict[str, Any] = orjson.loads(said)
    return answer


def command_on(run_dir: Path, *arguments: str) -> str:
    """What to type, here and now, to run `whyledger` on the demo's ledger."""
    settings = {
        name: value
        for name, value in _environment(run_dir).items()
        if name == "WHYLEDGER_STATE_DIR" or os.environ.get(name)
    }
    ours = Path(sys.executable).with_name("whyledger")
    program = "whyledger" if shutil.which("whyledger") == str(ours) else shown(ours)
    said = [f"{name}={value}" for name, value in settings.items()]
    return " ".join((*said, program, *arguments))


def shown(path: Path) -> str:
    """The path as a reader wants it: from here, where it lies below."""
    below = os.path.relpath(path)
    return os.path.abspath(path) if below.startswith(os.pardir) else below


def _environment(run_dir: Path) -> dict[str, str]:
    """The settings of the demo's own ledger, whatever those of the user's are."""
    return {
        "WHYLEDGER_STATE_DIR": shown(run_dir),
        "WHYLEDGER_DATABASE_URL": "",
        "WHYLEDGER_HOST": "127.0.0.1",
        "WHYLEDGER_SIGNING_KEY": "",  # it remembers what it signed, of another ledger
        "WHYLEDGER_ANCHOR_FILE": "",
        "WHYLEDGER_ANCHOR_WEBHOOK": "",
        "WHYLEDGER_ANCHOR_GIT": "",
    }


@contextmanager
def _child(
    run_dir: Path, *arguments: str, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours in a process group of its own; the whole group ends with the block."""
    process = None
    settings = {
        "PYTHONUNBUFFERED": "1",
        "WHYLEDGER_WORKERS_OUTLIVE": "false",  # they stand in the group, and end with it
    }
    try:
        with _signals_wait():
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "app.cli.main", *arguments],
                env=os.environ | _environment(run_dir) | settings,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            with _signals_wait():
                _end(process)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Signals are heard at the end of the block: between these lines one would leave a process."""
    came: list[int] = []
    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each in _SIGNALS:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in came:
        signal.raise_signal(number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and make an end of what is left of its group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_ENDING_SECONDS)
    with suppress(ProcessLookupError):  # the group is empty
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    """Wait as long as the service lives and has something to say, and tell the seconds."""
    began = heard = monotonic_seconds()
    size, told = log.stat().st_size, 0
    with ERR.status("") as line, client_of(address, 2) as client:
        while process.poll() is None:
            with suppress(httpx.TransportError):
                if client.get("/readyz").status_code == httpx.codes.OK:
                    return
            time.sleep(_LOOK_SECONDS)
            present = monotonic_seconds()
            if log.stat().st_size > size:
                size, heard = log.stat().st_size, present
            if present - heard > _SILENT_SECONDS:
                raise CommandRefused(
                    f"the service has said nothing for {_SILENT_SECONDS:.0f} s and does not "
                    f"answer at {address}. {_last_words(log)}"
                )
            waited = f"waiting for the service, {present - began:.0f} s: {_tail(log, 1)}"
            line.update(waited.replace("[", r"\["))
            if not ERR.is_terminal and present - began >= told + _TOLD_SECONDS:
                told += _TOLD_SECONDS
                note(waited)
    raise _failed(process, log)


def _failed(process: subprocess.Popen[bytes], log: Path) -> CommandRefused:
    return CommandRefused(
        f"the service ended with exit code {process.returncode}. {_last_words(log)}"
    )


def _last_words(log: Path) -> str:
    return f"Its last words, from {shown(log)}:\n{_tail(log, _TAIL_LINES)}"


def _tail(log: Path, lines: int) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
