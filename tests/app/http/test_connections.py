"""Connections that keep the service waiting end, and there are only so many."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from app.http.connections import HEAD_BYTES_MAX, HEADERS_MAX
from app.main import create_app
from app.settings import Settings
from tests.app.http.listening import Listening, all_of, listening, request
from tests.patience import HANGS_SECONDS, until

PATIENT = {"head_seconds_max": HANGS_SECONDS, "connections_max": 4}
QUICK = {"head_seconds_max": 0.2, "stall_seconds_max": 0.4, "connections_max": 4}
BEGUN = b"POST /predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
DRIP = 1000  # pieces at most: a service that never ends a connection fails the test by this


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """The service with bounds that are soon reached."""
    state: Path = tmp_path_factory.mktemp("state")
    settings = Settings(state_dir=state, **QUICK)  # type: ignore[arg-type]
    with listening(create_app(settings), settings) as served:
        yield served


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """The service that ends no connection because its head does not come."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("patient"), **PATIENT)  # type: ignore[arg-type]
    with listening(create_app(settings), settings) as served:
        yield served


@pytest.fixture(autouse=True)
def nobody_is_left(service: Listening, patient: Listening) -> Iterator[None]:
    """Whatever a client did, nothing is kept of it."""
    yield
    for each in (service, patient):
        until(lambda state=each.server.server_state: not state.connections)  # type: ignore[misc]
        until(lambda state=each.server.server_state: not state.tasks)  # type: ignore[misc]


def dripped(service: Listening, begun: bytes, piece: bytes, pause: float = 0.02) -> bytes:
    """What is answered to a client that sends `piece` again and again until it is cut off."""
    with service.connect() as connection:
        connection.sendall(begun)
        for _ in range(DRIP):
            connection.settimeout(pause)
            try:
                if not (received := connection.recv(65536)):
                    return b""
            except TimeoutError:
                try:
                    connection.sendall(piece)
                except ConnectionError:
                    return b""
            except ConnectionError:
                return b""
            else:
                return received
    raise AssertionError("the connection was never ended")


def test_a_connection_that_asks_nothing_is_closed(service: Listening) -> None:
    with service.connect() as silent:
        assert all_of(silent) == b""


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\nX: "], ids=repr)
def test_a_head_that_comes_drop_by_drop_is_cut_off(service: Listening, begun: bytes) -> None:
    assert dripped(service, begun, b"x") == b""


def test_a_body_that_comes_drop_by_drop_is_answered_with_408(service: Listening) -> None:
    begun = BEGUN + b"Content-Length: 100000\r\n\r\n{"
    assert dripped(service, begun, b" ").startswith(b"HTTP/1.1 408 ")
    chunked = BEGUN + b"Transfer-Encoding: chunked\r\n\r\n"
    assert dripped(service, chunked, b"1\r\n \r\n").startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("piece", [b"0;" + b"x" * 1000, b"1;" + b"x" * 1000 + b"\r\n \r\n"])
def test_chunks_of_nothing_are_cut_off(service: Listening, piece: bytes) -> None:
    chunked = BEGUN + b"Transfer-Encoding: chunked\r\n\r\n"
    dripped(service, chunked, piece * 20, pause=0.001)


def test_a_body_that_goes_on_after_its_answer_is_cut_off(service: Listening) -> None:
    with service.connect() as client:
        client.sendall(BEGUN + b"Content-Length: 100000000\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionError):
            send_without_end(client)


def send_without_end(client: socket.socket) -> None:
    for _ in range(DRIP):
        client.sendall(b" " * 65536)
        time.sleep(0.01)


@pytest.mark.parametrize("begun", [b"GET /", b"GET / HTTP/1.1\r\nX: "], ids=["line", "header"])
def test_a_head_with_more_bytes_than_its_bound_is_answered_with_431(
    patient: Listening, begun: bytes
) -> None:
    """The bytes up to the bound are read first: one that comes after the end loses the answer."""
    with patient.connect() as client:
        client.sendall(begun.ljust(HEAD_BYTES_MAX + 1, b"x"))
        until(lambda: heads_of(patient) == [HEAD_BYTES_MAX + 1])
        client.sendall(b"x")
        assert all_of(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(("headers", "status"), [(HEADERS_MAX, b"404"), (HEADERS_MAX + 1, b"400")])
def test_a_head_with_more_headers_than_its_bound_is_answered_with_400(
    patient: Listening, headers: int, status: bytes
) -> None:
    needed = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    head = b"GET /nowhere HTTP/1.1\r\n" + needed + b"X: x\r\n" * (headers - 2) + b"\r\n"
    assert patient.say(head).startswith(b"HTTP/1.1 " + status)


def heads_of(service: Listening) -> list[int]:
    """The bytes that are read of each head which is not whole yet."""
    return [vars(each).get("_head_bytes", 0) for each in service.server.server_state.connections]


def test_an_answer_that_nobody_reads_is_given_up(sqlite_settings: Settings) -> None:
    sent = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent.set()

    settings = sqlite_settings.model_copy(update=QUICK)
    with listening(endless, settings) as service, service.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(request("GET", "/"))
        assert sent.wait(10)
        until(lambda: not service.server.server_state.connections)
        until(lambda: not service.server.server_state.tasks)


def test_a_quick_client_is_served_beside_slow_ones_in_all_places(patient: Listening) -> None:
    """One of those that wait gives way, once it has kept the service waiting for a second."""
    begun = b"GET / HTT"
    with ExitStack() as clients:
        slow = [clients.enter_context(patient.connect()) for _ in range(4)]
        for each in slow:
            each.sendall(begun)
        until(lambda: heads_of(patient) == [len(begun)] * 4)
        asked = request("GET", "/healthz")
        until(lambda: patient.say(asked).startswith(b"HTTP/1.1 200 "), pause_seconds=0.1)
        until(lambda: heads_of(patient) == [len(begun)] * 3)


def test_one_connection_too_many_is_answered_with_503_and_when_to_come_again(
    sqlite_settings: Settings,
) -> None:
    settings = sqlite_settings.model_copy(update={"connections_max": 4, "retry_after_seconds": 7})
    with listening(create_app(settings), settings) as service:
        working = [service.connect() for _ in range(4)]
        until(lambda: len(service.server.server_state.connections) == 4)
        try:
            answer = service.say(request("GET", "/healthz"))
        finally:
            for each in working:
                each.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"retry-after: 7" in head.lower()
        problem = json.loads(body)
        assert problem["type"] == "urn:whyledger:problem:overloaded"
        assert "at most 4 may be" in problem["detail"]
        until(lambda: not service.server.server_state.connections)
        assert service.say(request("GET", "/healthz")).startswith(b"HTTP/1.1 200 ")
