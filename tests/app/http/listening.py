"""The service behind a real port of this process, and bytes that a client may send it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from app.http.connections import Server, configured
from app.settings import Settings
from tests.patience import HANGS_SECONDS, until


@dataclass(frozen=True)
class Listening:
    """A service that listens."""

    port: int
    server: Server

    def connect(self) -> socket.socket:
        """A connection, which hangs no test."""
        made = socket.create_connection(("127.0.0.1", self.port), HANGS_SECONDS)
        made.settimeout(HANGS_SECONDS)
        return made

    def say(self, sent: bytes) -> bytes:
        """What is answered to `sent`, until the service closes the connection."""
        with self.connect() as connection:
            connection.sendall(sent)
            return all_of(connection)


@contextmanager
def listening(app: ASGIApp, settings: Settings) -> Iterator[Listening]:
    """`app` served as `whyledger serve` does, in a thread."""
    server = Server(configured(app, settings, port=0, log_level="critical"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="listening")
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield Listening(server.servers[0].sockets[0].getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(HANGS_SECONDS)
        assert not thread.is_alive()


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or cuts, the connection."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def request(method: str, path: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
    """A request as bytes, after whose answer the connection is closed."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host or '127.0.0.1'}",
        "Connection: close",
        *([f"Content-Length: {len(body)}"] if body or method == "POST" else []),
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body
