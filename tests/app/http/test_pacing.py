"""What one client sends at once is parsed a little at a time; nothing of it is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.clock import monotonic_seconds
from app.http.connections import HEAD_BYTES_MAX, Connection
from app.http.pacing import AT_ONCE, CHUNK_BYTES, HEAD_BYTES, TURN_PARTS, WAITING_MAX, Turns
from app.settings import Settings
from tests.app.http.listening import Listening, all_of, listening
from tests.patience import HANGS_SECONDS, until

SMALL = b"GET /%d HTTP/1.1\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MOST_IN_A_PIECE = HEAD_BYTES // len(SMALL % 0) + 1
CHUNK = b"1\r\nx\r\n"
MANY = 5000


class Told:
    """An application that answers a request with its path and body, once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.paths: list[str] = []
        self.parts: list[int] = []  # bytes of each part of a body that was handed over at once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        self.paths.append(scope["path"])
        body, more = b"", True
        while more:
            message: Message = await receive()
            more = message.get("more_body", False)
            body += message.get("body", b"")
            self.parts.append(len(message.get("body", b"")))
        while not self.may.is_set():
            await asyncio.sleep(0.01)
        answer = scope["path"].encode() + b" %d;" % len(body)
        length = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": answer})


@contextmanager
def served(settings: Settings, *, at_once: bool = True) -> Iterator[tuple[Listening, Told]]:
    app = Told()
    if at_once:
        app.may.set()
    with listening(app, settings) as service:
        yield service, app


def answers(received: bytes) -> list[bytes]:
    """What the application said to each request, in the order of the answers."""
    return [
        each.partition(b"\r\n\r\n")[2].removesuffix(b";")
        for each in received.split(b"HTTP/1.1 200 OK\r\n")[1:]
    ]


def test_of_many_requests_sent_at_once_few_are_parsed_before_they_are_answered(
    sqlite_settings: Settings,
) -> None:
    with served(sqlite_settings, at_once=False) as (service, app), service.connect() as client:
        sent = b"".join(SMALL % n for n in range(MANY)) + LAST
        sender = threading.Thread(target=client.sendall, args=[sent])
        sender.start()
        until(lambda: bool(app.paths))
        (connection,) = service.server.server_state.connections
        until(lambda: len(connection.pipeline) >= WAITING_MAX)  # type: ignore[union-attr]
        assert len(connection.pipeline) < WAITING_MAX + MOST_IN_A_PIECE  # type: ignore[union-attr]
        app.may.set()
        received = all_of(client)
        sender.join()
    assert answers(received) == [b"/%d 0" % n for n in range(MANY)] + [b"/last 0"]


def test_for_all_connections_together_few_have_a_turn_before_others_do() -> None:
    """Given forty who each want the loop again and again, a few of them have it between two rounds
    of everybody else's, however many they are; and each comes to its turn, in order."""
    had: list[int] = []
    rounds: list[int] = []  # how many had a turn since the last round

    async def run() -> None:
        loop, turns = asyncio.get_running_loop(), Turns()
        over = loop.create_future()

        def want(number: int) -> None:
            turns.take(loop, lambda: have(number))

        def have(number: int) -> None:
            had.append(number)
            if len(had) < 200:
                want(number)
            elif not over.done():
                over.set_result(None)

        def everybody_else(seen: int) -> None:
            rounds.append(len(had) - seen)
            if not over.done():
                loop.call_soon(everybody_else, len(had))

        for number in range(40):
            want(number)
        everybody_else(0)
        await over

    asyncio.run(run())
    assert had[:80] == [*range(40), *range(40)]
    assert 0 < max(rounds) <= AT_ONCE


def test_a_turn_that_fails_takes_nobody_elses() -> None:
    had: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    async def run() -> None:
        loop, turns = asyncio.get_running_loop(), Turns()
        failed: list[object] = []
        loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
        turns.take(loop, fail)
        turns.take(loop, lambda: had.append("the next"))
        while not had:
            await asyncio.sleep(0)
        assert [*map(type, failed)] == [ZeroDivisionError]

    asyncio.run(run())
    assert had == ["the next"]


def test_of_a_client_that_left_no_request_behind_the_first_is_begun(
    sqlite_settings: Settings,
) -> None:
    with served(sqlite_settings, at_once=False) as (service, app):
        waiting: list[Callable[[], None]] = []
        with service.connect() as client:
            client.sendall(SMALL % 0 + SMALL % 1 + SMALL % 2)
            until(lambda: app.paths == ["/0"])
            (connection,) = service.server.server_state.connections
            assert isinstance(connection, Connection)
            connection.turns = Held(waiting)
            app.may.set()
            until(lambda: len(waiting) == 1)
        until(lambda: not service.server.server_state.connections)
        come = threading.Event()
        connection.loop.call_soon_threadsafe(waiting[0])
        connection.loop.call_soon_threadsafe(come.set)
        assert come.wait(HANGS_SECONDS)
    assert app.paths == ["/0"]


class Held(Turns):
    """Nobody's turn comes."""

    def __init__(self, waiting: list[Callable[[], None]]) -> None:
        super().__init__()
        self.held = waiting

    def take(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        self.held.append(work)


def test_a_service_that_ends_waits_for_nobodys_turn(sqlite_settings: Settings) -> None:
    with ExitStack() as still_open:
        with served(sqlite_settings) as (service, app):
            client = still_open.enter_context(service.connect())
            client.sendall(b"".join(SMALL % n for n in range(MANY)))
            until(lambda: len(app.paths) > WAITING_MAX)
        assert len(app.paths) < MANY


def test_chunks_of_one_byte_give_others_their_turn(sqlite_settings: Settings) -> None:
    with served(sqlite_settings) as (service, app), service.connect() as client:
        client.sendall(CHUNKED + CHUNK * MANY + b"0\r\n\r\n" + LAST)
        assert answers(all_of(client)) == [b"/ %d" % MANY, b"/last 0"]
    assert max(app.parts) <= TURN_PARTS + CHUNK_BYTES // len(CHUNK) + 1


def test_bodies_of_every_size_and_form_arrive_whole_whatever_follows_them(
    sqlite_settings: Settings,
) -> None:
    sent, expected = b"", []
    for size in (
        1,
        HEAD_BYTES - 60,
        HEAD_BYTES,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        300_000,
        2,
    ):
        sent += POST + b"Content-Length: %d\r\n\r\n" % size + b"G" * size
        sent += CHUNKED + b"%x\r\n" % size + b"G" * size + b"\r\n0\r\n\r\n"
        expected += [b"/ %d" % size] * 2
    with served(sqlite_settings) as (service, _), service.connect() as client:
        sender = threading.Thread(target=client.sendall, args=[sent + LAST])
        sender.start()
        assert answers(all_of(client)) == [*expected, b"/last 0"]
        sender.join()


def test_what_is_no_http_takes_no_answer_from_a_request_before_it(
    sqlite_settings: Settings,
) -> None:
    with served(sqlite_settings) as (service, _):
        received = service.say(SMALL % 1 + SMALL % 2 + b"nothing\r\n\r\n" + SMALL % 3)
        assert answers(received) == [b"/1 0", b"/2 0"]
        assert b" 400 " not in received
        assert service.say(b"nothing\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_body_that_breaks_behind_another_request_is_not_answered_in_its_place(
    sqlite_settings: Settings,
) -> None:
    broken = CHUNKED + b"nothing\r\n"
    with served(sqlite_settings, at_once=False) as (service, _):
        assert b" 400 " not in service.say(SMALL % 1 + broken)
        assert service.say(broken).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "begun", [b"GET /2", b"POST /2 HTTP/1.1\r\nContent-Length: 9\r\n\r\n"], ids=["head", "body"]
)
def test_half_a_request_behind_a_whole_one_ends_no_answer(
    sqlite_settings: Settings, begun: bytes
) -> None:
    with served(sqlite_settings, at_once=False) as (service, app), service.connect() as client:
        client.sendall(SMALL % 1 + begun)
        until(lambda: bool(app.paths))
        (connection,) = service.server.server_state.connections
        assert isinstance(connection, Connection)
        connection.look(monotonic_seconds() + 1000)
        app.may.set()
        received = b""
        while not received.endswith(b";") and (piece := client.recv(65536)):
            received += piece
        assert answers(received) == [b"/1 0"]


def test_a_head_without_end_behind_a_whole_request_ends_no_answer(
    sqlite_settings: Settings,
) -> None:
    with served(sqlite_settings, at_once=False) as (service, app), service.connect() as client:
        client.sendall(SMALL % 1 + b"GET /2 HTTP/1.1\r\nX: ".ljust(HEAD_BYTES_MAX + 1024, b"x"))
        until(lambda: bool(app.paths))
        app.may.set()
        received = all_of(client)
    assert answers(received) == [b"/1 0"]
    assert b" 431 " not in received


def test_a_body_behind_an_upgrade_is_never_read_as_a_request(sqlite_settings: Settings) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    with served(sqlite_settings) as (service, app):
        sent = POST + upgrade + b"Content-Length: 27\r\n\r\n" + b"POST /inside HTTP/1.1\r\n\r\n"
        assert len(answers(service.say(sent))) == 1
        assert app.paths == ["/"]
