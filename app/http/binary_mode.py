"""A CloudEvent in binary mode: its attributes are headers, its data is the body.

Source of the format: the HTTP protocol binding of CloudEvents 1.0.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from domain.canonical import DEPTH_MAX
from domain.errors import RequestInvalid
from domain.faults import Fault, pointer
from domain.quick_json import is_deeper

_PREFIX: Final = "ce-"
_TELLS: Final = "ce-specversion"  # every event has it, and no other request


def binary_attributes(headers: Headers) -> dict[str, Any] | None:
    """The event's attributes by name; None when the request is in no binary mode.

    A value may be percent-encoded, and stand in double quotes.

    Raises:
        RequestInvalid: a header stands twice, or holds what is no UTF-8.
    """
    if _TELLS not in headers:
        return None
    attributes: dict[str, Any] = {}
    for header, value in headers.items():
        if not header.startswith(_PREFIX):
            continue
        name = header.removeprefix(_PREFIX)
        if name in attributes:
            message = f"the header {header!r} stands twice; send it once"
            raise RequestInvalid(f"{message}.", [Fault(pointer(name), message)])
        try:
            attributes[name] = unquote(_unquoted(value), errors="strict")
        except UnicodeDecodeError:
            message = f"the header {header!r} is no percent-encoded UTF-8; encode it"
            raise RequestInvalid(f"{message}.", [Fault(pointer(name), message)]) from None
    return attributes


def binary_event(attributes: dict[str, Any], data: object, body: bytes) -> dict[str, Any]:
    """The event with these attributes, whose data stood in `body`.

    Raises:
        RequestInvalid: the event would be nested deeper than any other may be.
    """
    if body.count(b"[") + body.count(b"{") >= DEPTH_MAX and is_deeper(data, DEPTH_MAX - 1):
        message = f"is nested deeper than {DEPTH_MAX - 1} levels; flatten it"
        raise RequestInvalid(
            f"the data of an event is nested deeper than {DEPTH_MAX - 1} levels; flatten it.",
            [Fault(pointer("data"), message)],
        )
    return attributes | {"data": data}


def _unquoted(value: str) -> str:
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value
