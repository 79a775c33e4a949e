"""Reading a connection a little at a time, so that what one client sends at once holds nobody up.

uvicorn parses all that one read brought, up to 256 KiB, before anybody else has a turn: thousands
of requests that wait for each other, or chunks of one byte. Here the rest of a read waits, and so
does a request that came behind another: a few of all connections have their turn at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.clock import monotonic_seconds

WAITING_MAX: Final = 8  # requests behind the one that is answered; then nothing more is parsed
HEAD_BYTES: Final = 256  # parsed at once: at most 15 requests
CHUNK_BYTES: Final = 1024  # of a body in chunks: at most 170 of them
TURN_PARTS: Final = 256  # heads, headers and parts of bodies, parsed before others have their turn
AT_ONCE: Final = 8  # turns; a request takes a third of a millisecond of the loop
_PAUSE_SECONDS: Final = 0.001
_PAUSE_SHARE: Final = 1.0  # of the turn before it


class Turns:
    """Whose turn it is among those who want more of the loop than their first.

    A few have it at a time. Behind them, and behind the first steps of what they began, the loop
    belongs to all others for as long, and for a millisecond at least: forty clients with a thousand
    requests each ask for no more of it than a few do.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_due = False

    def take(self, loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
        """Do it when its turn comes, which is not now."""
        self._waiting.append(work)
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        began = monotonic_seconds()
        try:
            for _ in range(min(AT_ONCE, len(self._waiting))):
                self._waiting.popleft()()
        finally:
            loop.call_soon(self._pause, loop, began)  # behind what was begun

    def _pause(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        self._is_due = bool(self._waiting)
        if self._is_due:
            took = monotonic_seconds() - began
            loop.call_later(max(_PAUSE_SECONDS, _PAUSE_SHARE * took), self._next, loop)


class TwoReasons(FlowControl):
    """Flow control that stops reading for uvicorn's reasons, or while a read is not parsed yet."""

    held = False

    def pause_reading(self) -> None:
        """Stop reading, as uvicorn wants it."""
        if not self.held:
            super().pause_reading()
        self.read_paused = True

    def resume_reading(self) -> None:
        """Go on reading, as uvicorn wants it; not before the last read is parsed."""
        if not self.held:
            super().resume_reading()
        self.read_paused = False

    def hold(self, held: bool) -> None:
        """Stop reading, or go on, for our own reason."""
        if held == self.held:
            return
        self.held = held
        if not self.read_paused:
            self._transport.pause_reading() if held else self._transport.resume_reading()


class Paced(HttpToolsProtocol):
    """A connection that parses what came in pieces, and no more than it can soon answer."""

    flow: TwoReasons
    turns: Turns
    _unparsed = b""
    _at = 0  # where in it to go on
    _parts = 0  # of this turn
    _turn_is_due = False
    _is_behind = False

    def connection_made(self, transport: Any) -> None:
        """Take the connection."""
        super().connection_made(transport)
        self.flow = TwoReasons(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to parse."""
        self._unparsed = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse some of it now, the rest when others had their turn."""
        self._unparsed = self._unparsed[self._at :] + data if self._unparsed else data
        self._at = 0
        self._parse()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._parts += 1
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._parts += 1
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._parts += 1
        super().on_body(body)

    def on_response_complete(self) -> None:
        """An answer is out: there is room for another request, and the next one's turn may come."""
        self._is_behind = True
        super().on_response_complete()
        self._is_behind = False
        if self._unparsed:
            self._unset_keepalive_if_required()  # it has sent more, and waits for us
            self._take_turn()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._is_behind:
            self.turns.take(self.loop, partial(self._start_behind, cycle, app))
        else:
            super()._start_asgi_task(cycle, app)

    def _start_behind(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not self.transport.is_closing():
            super()._start_asgi_task(cycle, app)

    def piece_bytes(self) -> int:
        """How many bytes to parse at once: what a body lacks, or a few."""
        raise NotImplementedError

    def take(self, piece: bytes) -> bool:
        """Parse `piece`; whether to go on."""
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # Not followed, and the parser takes a body behind such a head for no part of HTTP.
            self.end_after_answers()
            return False
        except httptools.HttpParserError:
            self.refuse_form()
            return False
        return not self.transport.is_closing()

    def refuse_form(self) -> None:
        """Answer what is no HTTP with 400, but not in the place of an answer that is due."""
        self.send_400_response("Invalid HTTP request received.")

    def end_after_answers(self) -> None:
        """Parse nothing more; close when the last whole request is answered."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()
            return
        cycle.keep_alive = False
        self.flow.hold(True)

    def _parse(self) -> None:
        self._unset_keepalive_if_required()
        self._parts = 0
        while self._at < len(self._unparsed):
            if self._parts >= TURN_PARTS:
                self._take_turn()
                self.flow.hold(True)
                return
            if len(self.pipeline) >= WAITING_MAX:
                self.flow.hold(True)
                return
            end = self._at + self.piece_bytes()
            piece = self._unparsed[self._at : end]
            self._at = end
            if not self.take(piece):
                self._unparsed = b""
                return
        self._unparsed = b""
        self.flow.hold(False)

    def _take_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            self.turns.take(self.loop, self._turn)

    def _turn(self) -> None:
        self._turn_is_due = False
        if self._unparsed and not self.transport.is_closing():
            self._parse()
