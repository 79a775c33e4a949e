"""Reading what a client sent: bounded, of a content type the route takes, and strictly JSON.

A body may be compressed with gzip; every bound is on what it unpacks to.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from anyio import CapacityLimiter, to_thread
from fastapi import Request

from app.clock import monotonic_seconds
from app.intake.giving_way import GivingWay
from domain.canonical import INTEGER_MAX
from domain.errors import DocumentInvalid, RequestInvalid, WhyledgerError
from domain.faults import Fault
from domain.quick_json import UNREAD, read_json_quickly
from domain.strict_json import read_json, without_pause

JSON: Final = ("application/json",)
_REFUSED_BYTES_PER_SECOND: Final = 20_000_000  # of large bodies that are refused unread, together
_REFUSED_SECONDS: Final = 0.05  # between two refusals that cost next to nothing,
_REFUSED_WAITING_MAX: Final = 64  # for which so many wait at most
_REFUSED_SHARE: Final = 2.0  # of the work on a large body that is refused, its pause is longer,
_REFUSED_SECONDS_MAX: Final = 0.05  # but by no more than this
INLINE_BYTES_MAX: Final = 16 * 1024  # larger bodies are worked on in a thread, so nobody waits
_CAREFUL_BYTES_MAX: Final = 1024  # read at once, too, where it must be read with care
GZIP: Final = ("gzip", "x-gzip")
_GZIP_FORM: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header and checksum
_PIECE_BYTES: Final = 64 * 1024  # unpacked at once
_SLICE_BYTES: Final = 4096  # packed, handed over at once: zlib copies what follows a member's end
UNPACKED_SHARE_MAX: Final = 50  # of what came packed; text that somebody wrote has 3 to 20
UNPACKED_SPARE: Final = 256 * 1024  # bytes, and that share beyond them
_MEMBERS_MAX: Final = 64  # of a gzip body, and one more for each
_MEMBER_BYTES: Final = 1024  # that they unpack to: many that hold nothing are only work
_INTEGER_DIGITS_MAX: Final = len(str(INTEGER_MAX))


class BodyTooLarge(WhyledgerError):
    """The body has more bytes than the setting allows."""

    code: ClassVar[str] = "body-too-large"


class UnsupportedContentType(WhyledgerError):
    """The route does not take this content type."""

    code: ClassVar[str] = "unsupported-content-type"


class UnsupportedContentEncoding(WhyledgerError):
    """The body is compressed in a way that is not taken."""

    code: ClassVar[str] = "unsupported-content-encoding"


def content_type(request: Request, taken: Sequence[str]) -> str:
    """The request's content type without parameters, one of `taken`.

    Raises:
        UnsupportedContentType: another one, none, or a charset that is not UTF-8.
    """
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    kind = kind.strip().lower()
    if kind not in taken:
        raise UnsupportedContentType(
            f"content type {given[:100]!r} is not taken by {request.scope['path']}; "
            f"send {' or '.join(taken)}."
        )
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip('"')
        if name.strip() == "charset" and charset not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedContentType(f"charset {charset[:50]!r} is not taken; send utf-8.")
    return kind


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The whole body, unpacked.

    Raises:
        BodyTooLarge: more than `bytes_max` bytes; the rest is not read.
        UnsupportedContentEncoding, RequestInvalid: as `read_chunks`.
    """
    return b"".join([chunk async for chunk in read_chunks(request, bytes_max)])


async def read_chunks(request: Request, bytes_max: int) -> AsyncIterator[bytes]:
    """The body as it comes, unpacked.

    Raises:
        BodyTooLarge: more than `bytes_max` bytes; the rest is not read.
        UnsupportedContentEncoding: it is compressed otherwise than with gzip.
        RequestInvalid: it is no gzip, ends too early, or unpacks to far more than came.
    """
    announced = request.headers.get("content-length", "")
    size = packed = 0
    try:
        if announced.isdecimal() and (
            len(announced) > _INTEGER_DIGITS_MAX or int(announced) > bytes_max
        ):
            raise _too_large(bytes_max)
        unpack = _unpacking(request)
        async for received in request.stream():
            packed += len(received)
            if packed > bytes_max:  # of a packed body, too: what unpacks to nothing would never end
                raise _too_large(bytes_max)
            for chunk in unpack.pieces(received) if unpack else (received,):
                size += len(chunk)
                if size > bytes_max:
                    raise _too_large(bytes_max)
                yield chunk
        if unpack:
            unpack.end()
    except (BodyTooLarge, RequestInvalid):  # to receive and unpack it was work, too
        await wait_as_refused(request)
        raise


def _unpacking(request: Request) -> Gzip | None:
    """What unpacks the request's body; None when it is as it is. Raises as `read_chunks`."""
    given = request.headers.get("content-encoding", "").strip().lower()
    if given in ("", "identity"):
        return None
    if given not in GZIP:
        raise UnsupportedContentEncoding(
            f"content encoding {given[:50]!r} is not taken; send gzip, or the body as it is."
        )
    return Gzip()


class Gzip:
    """Unpacks a gzip stream as it comes, a bounded piece at a time."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_FORM)
        self._members = 1
        self._packed = 0
        self._unpacked = 0

    def pieces(self, received: bytes) -> Iterator[bytes]:
        """What `received` unpacks to. Raises RequestInvalid when it is no gzip, or a bomb."""
        for start in range(0, len(received), _SLICE_BYTES):
            packed = received[start : start + _SLICE_BYTES]
            self._packed += len(packed)
            yield from self._pieces(packed)

    def _pieces(self, received: bytes) -> Iterator[bytes]:
        waiting = received
        while waiting:
            if self._member.eof:  # members may follow each other
                self._member = zlib.decompressobj(_GZIP_FORM)
                self._members += 1
                if self._members > _MEMBERS_MAX + self._unpacked // _MEMBER_BYTES:
                    raise RequestInvalid(
                        f"the gzip body has {self._members} members that unpack to "
                        f"{self._unpacked} bytes; send it as one."
                    )
            try:
                piece = self._member.decompress(waiting, _PIECE_BYTES)
            except zlib.error as error:
                raise RequestInvalid(
                    f"the body is not the gzip that its content encoding says: {error}. Send it "
                    "again, compressed or as it is."
                ) from None
            waiting = self._member.unused_data or self._member.unconsumed_tail
            if piece:
                self._unpacked += len(piece)
                if self._unpacked > UNPACKED_SPARE + UNPACKED_SHARE_MAX * self._packed:
                    raise RequestInvalid(
                        f"the gzip body unpacks to more than {UNPACKED_SHARE_MAX} times its bytes "
                        f"and {UNPACKED_SPARE} more; send it as it is."
                    )
                yield piece

    def end(self) -> None:
        """Raises RequestInvalid when the stream ended before its end."""
        if not self._member.eof:
            raise RequestInvalid("the gzip body ends before its end; send it again, whole.")


def parse_json(body: bytes, pause: Callable[[], None] = without_pause) -> Any:
    """The JSON value in `body`.

    Args:
        body: UTF-8.
        pause: as in `read_json`.

    Raises:
        DocumentInvalid: not UTF-8, not JSON, or not strictly (see `read_json`).
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentInvalid(f"the body is not UTF-8 at byte {error.start}; send UTF-8.") from None
    return read_json(text, name="the body", pause=pause)


async def parsed(
    request: Request,
    body: bytes,
    refused: Callable[[bytes], str | None] = lambda _: None,
    quickly: Callable[[bytes], object] | None = None,
) -> Any:
    """As `parse_json`, without holding up the event loop when that takes long.

    A large body does, and one of some length that must be read with care: most are refused.

    Args:
        request: whose body it is.
        body: as it came.
        refused: why a large one is not even read; None: it is.
        quickly: what reads a large one otherwise, if it does; else it is parsed.

    Raises:
        DocumentInvalid: as `parse_json`.
        RequestInvalid: it is `refused`.
    """
    if len(body) <= INLINE_BYTES_MAX:
        value = _parsed_quickly(body)
        if value is not UNREAD:
            return value
        if len(body) <= _CAREFUL_BYTES_MAX:
            return parse_json(body)
        quickly = None
    async with alone(request) as turn:
        why = refused(body)
        if why is not None:
            # To receive the next one is work, too: without a pause there would be no end of it.
            turn.pause_min = len(body) / _REFUSED_BYTES_PER_SECOND
            raise RequestInvalid(f"{why}.", [Fault("", why)])
        return await to_thread.run_sync(_read, body, quickly, turn.giving_way)


def _parsed_quickly(body: bytes) -> Any:
    """As `parse_json`, where it is certain that it is taken; `UNREAD` otherwise."""
    try:
        return read_json_quickly(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return UNREAD


def _read(body: bytes, quickly: Callable[[bytes], object] | None, giving_way: GivingWay) -> Any:
    read = None if quickly is None else quickly(body)
    return parse_json(body, giving_way.pause) if read is None else read


@dataclass(slots=True, eq=False)
class Turn:
    """The turn of a large body."""

    pause_min: float = 0.0  # seconds behind it, at least
    giving_way: GivingWay = field(default_factory=GivingWay)  # of who works in it

    def worked(self, began: float) -> float:
        """The seconds since then, without those that it slept."""
        return monotonic_seconds() - began - self.giving_way.slept


@asynccontextmanager
async def alone(request: Request) -> AsyncIterator[Turn]:
    """Work for the interpreter on a large body, of which a process does one at a time.

    Several at once would end no sooner, and all others would wait for each of them. Before the next
    one the others have the interpreter to themselves for as long as this one worked; for longer
    where it is refused, so that whoever sends such holds nobody up more than whoever sends good
    ones.
    """
    working: CapacityLimiter = request.app.state.working
    turn = Turn()
    await working.acquire_on_behalf_of(turn)
    began = monotonic_seconds()
    longer = 0.0
    try:
        yield turn
    except WhyledgerError:
        longer = min(turn.worked(began) * _REFUSED_SHARE, _REFUSED_SECONDS_MAX)
        raise
    finally:
        pause = max(turn.pause_min, turn.worked(began) + longer)
        asyncio.get_running_loop().call_later(pause, working.release_on_behalf_of, turn)


async def wait_as_refused(request: Request) -> None:
    """Wait a moment before a refusal that costs next to nothing, one behind the other.

    Whoever is refused at once asks again at once, and to hear that out is work for the loop. Who is
    taken never waits here; where many wait, nobody more does.
    """
    refusing: CapacityLimiter = request.app.state.refusing
    if refusing.statistics().tasks_waiting < _REFUSED_WAITING_MAX:
        turn = Turn()
        await refusing.acquire_on_behalf_of(turn)
        loop = asyncio.get_running_loop()
        loop.call_later(_REFUSED_SECONDS, refusing.release_on_behalf_of, turn)


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has more than {bytes_max} bytes; send it in smaller parts.")
