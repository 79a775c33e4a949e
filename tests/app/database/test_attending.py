"""A command does not wait for a server that hangs, and waits for work however long it takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import make_url, text

from app.database.engine import busy_is_refused, create_database
from app.database.read_only import look_at_database
from app.settings import Settings
from domain.errors import LedgerBusy

SECONDS = 0.4


class Way:
    """A way to the server over which, once it is frozen, nothing comes and nothing ends."""

    def __init__(self, host: str, port: int) -> None:
        self.frozen = threading.Event()
        self._to = (host, port)
        self._open: list[socket.socket] = []
        self._listens = socket.create_server(("127.0.0.1", 0))
        self.port = self._listens.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listens, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listens.accept()
                far = self._reach()
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _reach(self) -> socket.socket:
        host, port = self._to
        if not host.startswith("/"):
            return socket.create_connection(self._to)
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{host}/.s.PGSQL.{port}")
        return far

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while some := one.recv(65536):
                while self.frozen.is_set():
                    if self.frozen.wait(0.05) and one.fileno() < 0:
                        return
                other.sendall(some)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def way(fresh_postgres: Callable[[bool], str]) -> Iterator[tuple[Way, str]]:
    url = fresh_postgres(True)
    parsed = make_url(url)
    host = str(parsed.host or parse_qs(urlsplit(url).query).get("host", ["127.0.0.1"])[0])
    made = Way(host, parsed.port or int(str(parsed.query.get("port", "5432"))))
    through = parsed.set(host="127.0.0.1", port=made.port, query={})
    yield made, through.render_as_string(hide_password=False)
    made.frozen.clear()
    made.close()


@pytest.mark.parametrize("looking", [False, True])
def test_the_wait_for_a_server_that_hangs_ends_and_says_by_which_setting(
    way: tuple[Way, str], looking: bool
) -> None:
    between, url = way
    settings = Settings(database_url=url, answer_seconds_max=SECONDS)
    make = look_at_database if looking else create_database
    engine = make(url, settings)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        between.frozen.set()
        with pytest.raises(LedgerBusy, match=r"within 0.4 s \(WHYLEDGER_ANSWER_SECONDS_MAX\)"):
            with busy_is_refused(1):
                connection.execute(text("SELECT 2"))
    engine.dispose()


def test_work_that_takes_many_times_as_long_is_not_cut(way: tuple[Way, str]) -> None:
    _, url = way
    engine = create_database(url, Settings(database_url=url, answer_seconds_max=SECONDS))
    with engine.connect() as connection:
        done = connection.execute(text("SELECT 7 FROM pg_sleep(1.5)")).scalar_one()
    assert done == 7
    engine.dispose()
