"""Reading what a client sent: bounded, of a content type the route takes, and strictly JSON.

Strictly: no key twice, no NaN or infinity, no NUL, no lone surrogate; what passes has one meaning.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn

from fastapi import Request

from app.http.problems import summary
from domain.canonical import INTEGER_MAX
from domain.errors import DocumentInvalid, Fault, WhyledgerError

JSON: Final = ("application/json",)
INLINE_BYTES_MAX: Final = 16 * 1024  # larger bodies are worked on in a thread, so nobody waits
_TOO_DEEP: Final = "it is nested too deeply; flatten it"
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
        DocumentInvalid: broken JSON, a key twice, NaN or infinity, NUL, a lone surrogate.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentInvalid(
            f"the body is not UTF-8 at byte {error.start}; send UTF-8 without a byte order mark."
        ) from None
    try:
        try:
            value = _DECODER.decode(text)
        except _NotTaken:
            raise _refused_by_place(text) from None
        if "\\u" in text:  # only an escape brings in NUL, or what UTF-8 itself cannot hold
            _check_text(value, "")
    except json.JSONDecodeError as error:
        raise DocumentInvalid(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise DocumentInvalid(f"the body is not taken: {_TOO_DEEP}.") from None
    return value


def _too_large(bytes_max: int) -> BodyTooLarge:
    return BodyTooLarge(f"the body has more than {bytes_max} bytes; send it in smaller parts.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DocumentInvalid(f"the key {twice[:100]!r} stands twice in one object; keep one.")
    return found


class _NotTaken(Exception):
    """A number that is refused; where it stands is found by reading once more."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a number that is refused, and says why."""

    why: str


def _constant(_: str) -> NoReturn:
    raise _NotTaken


def _integer(digits: str) -> int:
    if len(digits) <= _INTEGER_DIGITS_MAX + 1:
        number = int(digits)
        if -INTEGER_MAX <= number <= INTEGER_MAX:
            return number
    raise _NotTaken


def _marked_constant(name: str) -> _Refused:
    return _Refused(f"{name} is not JSON; leave the field out, or send null")


def _marked_integer(digits: str) -> int | _Refused:
    try:
        return _integer(digits)
    except _NotTaken:
        return _Refused(
            f"the integer {digits[:40]} is beyond ±{INTEGER_MAX} (2^53 - 1); send it as a string"
        )


def _refused_by_place(text: str) -> DocumentInvalid:
    """The refusal of every number that is none, each with its place."""
    faults = [Fault(path, why) for path, why in _refused_in(_MARKING.decode(text), "")]
    return DocumentInvalid(f"{summary(faults)}.", faults)


def _refused_in(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, _Refused):
        yield path, value.why
    elif isinstance(value, dict):
        for key, item in value.items():
            escaped = key.replace("~", "~0").replace("/", "~1")
            yield from _refused_in(item, f"{path}/{escaped}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _refused_in(item, f"{path}/{index}")


def _check_text(value: object, path: str) -> None:
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            fault = Fault(path, "holds NUL or a lone surrogate; send plain text")
            raise DocumentInvalid(f"{path or '/'} {fault.message}.", [fault])
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_text(key, path)
            _check_text(item, f"{path}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_text(item, f"{path}/{index}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
)
_MARKING: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_marked_constant, parse_int=_marked_integer
)
