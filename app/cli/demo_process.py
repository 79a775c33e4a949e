"""The demo's own service: a real process on a free port, and `replay` beside it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console

from app.clock import monotonic_seconds

_READY_SECONDS: Final = 20.0  # the service is ready within 2 s; a loaded machine may take longer


class DemoFailed(Exception):
    """The service answered what the demo did not expect, or did not come up."""


@contextmanager
def running_service(run_dir: Path, port: int) -> Iterator[str]:
    """The real service in a process of its own, ready to answer."""
    address = f"http://127.0.0.1:{port}"
    with (run_dir / "service.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "app.cli.main", "serve", "--port", str(port)],
            env=os.environ | _environment(run_dir),
            stdout=log,
            stderr=log,
        )
    try:
        _await_ready(process, address, run_dir)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port(port: int, console: Console) -> int:
    """`port`, or a free one when it is taken: never speak to somebody else's service."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                console.print(f"port {port} is taken; another one is used")
                continue
            found: int = probe.getsockname()[1]
            return found
    raise DemoFailed("no free port on 127.0.0.1; end another service and try again")


def replay(run_dir: Path) -> dict[str, Any]:
    """`whyledger replay` on the ledger that the service is writing: equal digests, or it fails."""
    command = [sys.executable, "-m", "app.cli.main", "replay", "--json"]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, env=os.environ | _environment(run_dir), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DemoFailed(f"replay ended with exit code {done.returncode}: {done.stderr.strip()}")
    answer: dict[str, Any] = orjson.loads(done.stdout)
    return answer


def shown(path: Path) -> str:
    """The path as a reader wants it: from here, where it lies below."""
    return os.path.relpath(path)


def _environment(run_dir: Path) -> dict[str, str]:
    return {"WHYLEDGER_STATE_DIR": str(run_dir), "WHYLEDGER_DATABASE_URL": ""}


def _await_ready(process: subprocess.Popen[bytes], address: str, run_dir: Path) -> None:
    deadline = monotonic_seconds() + _READY_SECONDS
    while monotonic_seconds() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise DemoFailed(f"the service did not come up at {address}; see {shown(run_dir)}/service.log")
