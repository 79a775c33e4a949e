"""Two services on one ledger that are killed and replaced, and who asks until one answers."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import httpx2

from app.http.connections import Server, configured
from app.main import create_app
from app.settings import Settings
from tests.forked import FORKING, Forked
from tests.patience import HANGS_SECONDS
from tests.soak.service import NOBODY

COUNT = 2
PAUSE_SECONDS = 0.05  # before the same is asked again
START_SECONDS = 0.5  # about what it takes until one can be asked
Ask = Callable[[httpx2.Client], httpx2.Response]


class Replica:
    """One process that serves, forked from one that has imported the service."""

    def __init__(self, settings: Settings) -> None:
        self._said, theirs = FORKING.Pipe()
        self._process = Forked(serve, (theirs,), os.environ | settings.as_environment())
        theirs.close()
        self._address = ""

    def listening(self) -> Replica:
        """Itself, once it can be asked."""
        assert self._said.poll(HANGS_SECONDS)
        self._address = f"http://127.0.0.1:{self._said.recv()}"
        return self

    def kill(self) -> None:
        """kill -9, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._said.close()

    def client(self) -> httpx2.Client:
        """A client of this process alone."""
        return httpx2.Client(base_url=self._address, timeout=HANGS_SECONDS, verify=NOBODY)


def serve(other: Connection) -> None:
    """Serve at a port of its own, which `other` is told, until somebody ends this process."""
    settings = Settings()
    configuration = configured(create_app(settings), settings, port=0, log_level="critical")

    class Listening(Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            other.send(self.servers[0].sockets[0].getsockname()[1])

    Listening(configuration).run()


class Replicas:
    """The services of one ledger."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.services = [Replica(settings).listening() for _ in range(COUNT)]

    def kill_one(self, chance: random.Random) -> None:
        """kill -9 one of them, and start another in its place."""
        self._replace(chance.randrange(COUNT))

    def kill_one_that_starts(self, chance: random.Random) -> None:
        """Restart one of them; kill -9 what is starting, and start another in its place."""
        which = chance.randrange(COUNT)
        self.services[which].kill()
        self.services[which] = Replica(self._settings)
        time.sleep(chance.uniform(0, START_SECONDS))
        self._replace(which)

    def _replace(self, which: int) -> None:
        self.services[which].kill()
        self.services[which] = Replica(self._settings).listening()

    def kill_worker(self) -> bool:
        """kill -9 the process that runs a cycle; whether there was one."""
        for pid in self._workers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def ask(self, ask: Ask, chance: random.Random) -> httpx2.Response:
        """What one of them answers, however often it takes; never that it is too busy."""
        deadline = time.monotonic() + HANGS_SECONDS
        while time.monotonic() < deadline:
            service = chance.choice(self.services)
            with suppress(httpx2.TransportError), service.client() as client:
                answer = ask(client)
                if answer.status_code != 503:
                    return answer
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError("nobody answered")

    def close(self) -> None:
        """Kill them, and whoever trains for them."""
        for service in self.services:
            service.kill()
        while self.kill_worker():
            time.sleep(PAUSE_SECONDS)

    def _workers(self) -> Iterator[int]:
        """The processes that train for this ledger, whoever started them."""
        ours = str(self._settings.state_dir).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (
                    b"app.cycle.worker" in (folder / "cmdline").read_bytes()
                    and ours in (folder / "environ").read_bytes()
                ):
                    yield int(folder.name)


@contextmanager
def replicas(settings: Settings) -> Iterator[Replicas]:
    """As long as the block lasts."""
    made = Replicas(settings)
    try:
        yield made
    finally:
        made.close()
