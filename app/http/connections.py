"""Connections: how many there may be, how long a head, and how long a client may keep one waiting.

uvicorn's protocol on httptools bounds none of these by itself: a client may send a head without
end, a body at a byte a minute, or read its answer never, and each keeps a place and memory.
"""

from __future__ import annotations

import logging
import re
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.background.outage import Outage
from app.clock import monotonic_seconds
from app.http.open_files import no_file_left
from app.http.pacing import CHUNK_BYTES, HEAD_BYTES, Paced, Turns
from app.http.problems import problem_response
from app.settings import Settings

HEAD_BYTES_MAX: Final = 64 * 1024  # request line and headers; trailers, too
HEADERS_MAX: Final = 200
BODY_BYTES_PER_SECOND: Final = 1024  # by which a body must grow, over its whole time
_WIRE_SHARE: Final = 7  # bytes on the wire for one of the body: a chunk of one byte takes six
_WIRE_SPARE: Final = 64 * 1024
_LENGTH_NAME: Final = len("content-length")
_REFUSED_MORE: Final = 0.2  # of the bound: connections beyond it that are told so; others are cut
_MOST_STALLED_SECONDS: Final = 1.0  # a shorter pause is no reason to make room
_LOG: Final = logging.getLogger("whyledger.http")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a connection is held to. Seconds."""

    connections_max: int
    head_seconds: float
    stall_seconds: float
    retry_after_seconds: int

    @classmethod
    def of(cls, settings: Settings) -> Bounds:
        """Those of a process."""
        return cls(
            settings.connections_max,
            settings.head_seconds_max,
            settings.stall_seconds_max,
            settings.retry_after_seconds,
        )


class Connection(Paced):
    """One connection, which knows since when it waits for its client.

    `bounds` is set on the class that `bounded` makes. Nothing is timed per request: `sweep` looks
    at all connections once in a while.
    """

    bounds: Bounds
    _waits_since: float  # for the end of a head, or of a body
    _in_body = False
    _head_bytes = 0
    _body_bytes = 0
    _announced = 0  # bytes of a body
    _body_wire_bytes = 0  # with what frames the chunks
    _unsent = 0  # bytes of an answer, at the last look
    _unsent_since: float | None = None  # when they last changed

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or let it hear that there are too many."""
        super().connection_made(transport)
        self._waits_since = monotonic_seconds()
        most = self.bounds.connections_max
        if len(self.connections) <= most:
            return
        if self._make_room():
            return
        if len(self.connections) > most + max(1, int(most * _REFUSED_MORE)):
            transport.abort()
            return
        self.app = self._overloaded  # its first request is answered, with 503

    def take(self, piece: bytes) -> bool:
        """Parse `piece`, with a bound on what is no body."""
        if not self._in_body:
            self._head_bytes += len(piece)
            if self._head_bytes > HEAD_BYTES_MAX + len(piece):
                self._cut_head()
                return False
        else:
            self._body_wire_bytes += len(piece)
            if self._body_wire_bytes > _WIRE_SPARE + _WIRE_SHARE * self._body_bytes + len(piece):
                self.transport.abort()  # chunks without end, of nothing
                return False
        return super().take(piece)

    def piece_bytes(self) -> int:
        """How many bytes to parse at once: what a body of an announced length lacks, or a few."""
        if not self._in_body:
            return HEAD_BYTES
        return max(0, self._announced - self._body_bytes) or CHUNK_BYTES

    def refuse_form(self) -> None:
        """400; behind requests that are whole it would be taken for the answer to one of them."""
        if self._in_body and self.pipeline:
            self.transport.close()
        elif self._in_body or self._answered():
            super().refuse_form()
        else:
            self.end_after_answers()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._waits_since = monotonic_seconds()
        self._in_body, self._body_bytes, self._body_wire_bytes = False, 0, 0
        self._announced = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            raise _HeadTooLong
        if len(name) == _LENGTH_NAME and self.headers[-1][0] == b"content-length":
            self._announced = int(value)  # the parser has checked its form

    def on_headers_complete(self) -> None:
        """The head is whole; the body follows."""
        self._in_body, self._head_bytes = True, 0
        self._waits_since = monotonic_seconds()
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The answer is out; from here on it waits for the next request, or the rest of this."""
        super().on_response_complete()
        self._waits_since = monotonic_seconds()

    def on_message_complete(self) -> None:
        """The request is whole."""
        super().on_message_complete()
        self._in_body, self._head_bytes = False, 0
        self._waits_since = monotonic_seconds()

    def stalled_seconds(self, now: float) -> float:
        """How long it waits for its client's bytes; 0 while it works on an answer."""
        answered = self._answered()
        behind = self.pipeline or not (answered or self._in_body)  # what comes next is not due yet
        if behind or self.flow.read_paused or self.flow.held:
            self._waits_since = now  # it is we who do not read, or do not answer
            return 0.0
        if self._in_body and not answered:
            spare = now - self._waits_since - self._body_bytes / BODY_BYTES_PER_SECOND
            return max(0.0, spare)
        return now - self._waits_since

    def look(self, now: float) -> None:
        """Cut the connection when its client keeps it waiting for too long."""
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.transport.abort()
            return
        if self._does_not_read(now):
            self.transport.abort()
            return
        answered = self._answered()
        in_body = self._in_body and not answered
        most = self.bounds.stall_seconds if in_body else self.bounds.head_seconds
        if self.stalled_seconds(now) <= most:
            return
        if answered:
            # Nothing is asked, or the answer left before the body had come.
            self.transport.abort() if self._in_body else self.transport.close()
        else:
            self._say_late()

    def _take_host_of_target(self) -> None:
        """The host of a target with a scheme (`GET http://name/path`) stands above the header's."""
        _, sign, rest = self.url.partition(b"://")
        hosts = [at for at, (name, _) in enumerate(self.headers) if name == b"host"]
        if sign and len(hosts) == 1:  # none, or two, are refused later
            self.headers[hosts[0]] = (b"host", re.split(rb"[/?#]", rest, maxsplit=1)[0])

    def _answered(self) -> bool:
        """Whether no request waits for its answer, or none has come yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _does_not_read(self, now: float) -> bool:
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self._unsent_since = None
        elif self._unsent_since is None or unsent != self._unsent:
            self._unsent_since = now
        self._unsent = unsent
        return (
            self._unsent_since is not None and now - self._unsent_since > self.bounds.stall_seconds
        )

    def _say_late(self) -> None:
        """408 for a body that does not come; whoever reads it hears that the client has gone."""
        if not self.cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()
        self.cycle.disconnected = True
        self.cycle.message_event.set()

    def _cut_head(self) -> None:
        if self._answered():
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"content-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.end_after_answers()

    def _make_room(self) -> bool:
        """Close the connection that keeps us waiting the longest; whether there was one."""
        now = monotonic_seconds()
        others = [each for each in self.connections if each is not self]
        most = max(others, key=lambda each: _stalled(each, now), default=None)
        if most is None or _stalled(most, now) < _MOST_STALLED_SECONDS:
            return False
        assert isinstance(most, Connection)  # noqa: S101 as the server makes them
        most.transport.abort()
        return True

    async def _overloaded(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = self.bounds.connections_max
        answer = problem_response(
            "overloaded",
            f"{most} connections are open and at most {most} may be. Try again in a moment, over "
            "fewer connections.",
            instance=scope["path"],
            headers={"Connection": "close"},
            retry_after_seconds=self.bounds.retry_after_seconds,
        )
        await answer(scope, receive, send)


class _HeadTooLong(Exception):
    """More headers than a request may have; the parser makes a refusal of it."""


def _stalled(connection: object, now: float) -> float:
    return connection.stalled_seconds(now) if isinstance(connection, Connection) else 0.0


def bounded(bounds: Bounds) -> type[Connection]:
    """A protocol for `uvicorn.Config(http=…)` whose connections keep to `bounds`."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds, "turns": Turns()})


def sweep(connections: Iterable[object]) -> None:
    """Look at every connection of a server once; to be called about once a second."""
    now = monotonic_seconds()
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.look(now)


# How long a thread that computes (a batch judged, a CSV read) may hold the interpreter while the
# event loop waits to answer; Python's own 5 ms add up over the turns that one answer takes.
GIVE_WAY_SECONDS: Final = 0.001


class Server(uvicorn.Server):
    """uvicorn, which sweeps its connections as it ticks, and says when none more can be taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._outage = Outage(_LOG, "connections are reset", "connections are taken again")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; threads that compute give way sooner to the loop that answers."""
        sys.setswitchinterval(GIVE_WAY_SECONDS)
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        if counter % 5 == 0:
            sweep(self.server_state.connections)
            full = no_file_left()
            if full is not None:
                self._outage.failed(full)
            else:
                self._outage.over()
        return await super().on_tick(counter)


def configured(app: Any, settings: Settings, **how: Any) -> uvicorn.Config:
    """How this service is served, whoever serves it: one process, with every bound set."""
    return uvicorn.Config(
        app,
        http=bounded(Bounds.of(settings)),
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands before us on loopback, and every request would pay
        timeout_keep_alive=5,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds // 2)),
        **how,
    )
