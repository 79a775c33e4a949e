"""Long lists in canonical JSON, read some thousand elements at a time.

Parsed at once, a list of a million names is several times as large as its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

_BYTES_AT_ONCE: Final = 2**18
# Where one element ends and the next begins, unless it stands in a text: there quotes are escaped.
_BETWEEN_LISTS: Final = re.compile(rb"(?<=\]),(?=\[)")
_BETWEEN_TEXTS: Final = re.compile(rb'(?<="),(?=")')


def elements(content: bytes, start: int = 1, end: int | None = None) -> Iterator[list[Any]]:
    """The elements of a list of texts, or of lists that hold no list, in order and in parts.

    Args:
        content: the bytes that hold it, canonical JSON.
        start: where its first element begins: behind the bracket.
        end: where its closing bracket stands; None: it is the last byte.

    Raises:
        ValueError: it is no JSON.

    >>> list(elements(b'["a","b"]'))
    [['a', 'b']]
    """
    last = len(content) - 1 if end is None else end
    between = _BETWEEN_LISTS if content[start : start + 1] == b"[" else _BETWEEN_TEXTS
    while start < last:
        cut = _cut(content, between, start, last)
        found: list[Any] = orjson.loads(b"[%b]" % content[start:cut])
        yield found
        start = cut + 1


def _cut(content: bytes, between: re.Pattern[bytes], start: int, last: int) -> int:
    """The first comma behind so many bytes that stands between two elements; else the end."""
    quotes, looked = 0, start
    for comma in between.finditer(content, min(start + _BYTES_AT_ONCE, last), last):
        quotes += _quotes(content[looked : comma.start()])
        looked = comma.start()
        if quotes % 2 == 0:  # every text that was begun has ended
            return looked
    return last


def _quotes(part: bytes) -> int:
    """How often a text begins or ends in it."""
    return part.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
