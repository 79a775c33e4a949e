"""An upload that the service works on for longer than anybody waits for an answer."""

from __future__ import annotations

import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.cli.remote import Service
from app.cli.terminal import ServiceUnreachable
from app.cli.uploading import PIECE_BYTES, Upload

ROWS = b"a,b\n" * PIECE_BYTES
SHA256 = hashlib.sha256(ROWS).hexdigest()
DONE = {"lines": 2, "finished": True}


@contextmanager
def serving(
    post: Callable[[BaseHTTPRequestHandler], None], get: Callable[[], dict[str, Any]]
) -> Iterator[str]:
    """A service that takes a file whole, then does `post`, and answers `get` of its SHA-256."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            while (size := int(self.rfile.readline(), 16)) > 0:
                self.rfile.read(size + len("\r\n"))
            self.rfile.readline()
            post(self)

        def do_GET(self) -> None:
            found = get() if self.path == f"/datasets/{SHA256}" else {}
            answer(self, found, 200 if found else 404)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test reads no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, body: dict[str, Any], status: int = 200) -> None:
    content = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """End the connection without an answer."""
    handler.close_connection = True


def sent(url: str, told: list[str]) -> dict[str, Any]:
    """What the upload answers; `told` gets what it says meanwhile."""

    def advance(done: int, total: int | None = None, said: str | None = None) -> None:
        told.append(said or str(done))

    with Service(url, seconds=0.2) as service:
        return Upload(service, "/datasets", look_seconds=0.02).run(
            io.BytesIO(ROWS), "text/csv", advance
        )


def test_an_upload_is_not_given_up_while_the_service_works_on_it() -> None:
    looked = threading.Event()
    looks = iter(range(1, 1000))

    def get() -> dict[str, Any]:
        number = next(looks)
        if number > 20:  # longer than any other answer is waited for
            looked.set()
        return {"lines": number, "finished": False}

    def post(handler: BaseHTTPRequestHandler) -> None:
        looked.wait()
        answer(handler, DONE)

    told: list[str] = []
    with serving(post, get) as url:
        assert sent(url, told) == DONE
    assert str(len(ROWS)) in told, "the bytes that were sent"
    assert "20 lines read and recorded" in told, "and then how far the service has come"


def test_a_connection_that_breaks_once_all_is_sent_costs_no_answer() -> None:
    looks = iter([{"lines": 1, "finished": False}, DONE])
    with serving(hang_up, lambda: next(looks, DONE)) as url:
        assert sent(url, []) == DONE


def test_a_service_that_knows_nothing_of_the_file_is_said_to_be_out_of_reach() -> None:
    with serving(hang_up, dict) as url, pytest.raises(ServiceUnreachable, match="cannot be"):
        sent(url, [])
