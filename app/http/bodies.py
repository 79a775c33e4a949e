"""Reading what a client sent: bounded, of a content type the route takes, and strictly JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar, Final

from fastapi import Request

from domain.canonical import INTEGER_MAX
from domain.errors import DocumentInvalid, WhyledgerError
from domain.strict_json import read_json

JSON: Final = ("application/json",)
INLINE_BYTES_MAX: Final = 16 * 1024  # larger bodies are worked on in a thread, so nobody waits
_INTEGER_DIGITS_MAX: Final = len(str(INTEGER_MAX))


class BodyTooLarge(WhyledgerError):
    """The body has more bytes than the setting allows."""

    code: ClassVar[str] = "body-too-large"


class UnsupportedContentType(WhyledgerError):
    """The route does not take this content type."""

    code: ClassVar[str] = "unsupported-content-type"


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
    """The whole body.

    Raises:
        BodyTooLarge: more than `bytes_max` bytes; the rest is not read.
    """
    return b"".join([chunk async for chunk in read_chunks(request, bytes_max)])


async def read_chunks(request: Request, bytes_max: int) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        BodyTooLarge: more than `bytes_max` bytes; the rest is not read.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and (
        len(announced) > _INTEGER_DIGITS_MAX or int(announced) > bytes_max
    ):
        raise _too_large(bytes_max)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        yield chunk


def parse_json(body: bytes) -> Any:
    """The JSON value in `body`.

    Raises:
        DocumentInvalid: not UTF-8, not JSON, or not strictly (see `read_json`).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentInvalid(
            f"the body is not UTF-8 at byte {error.start}; send UTF-8 without a byte order mark."
        ) from None
    return read_json(text, name="the body")


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has more than {bytes_max} bytes; send it in smaller parts.")
