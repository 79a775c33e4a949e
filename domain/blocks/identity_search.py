"""Whether a block can hold a row about an identity: its bytes are searched, no line is parsed.

Most blocks do not hold it, and to read one whole costs twenty times as much.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

_NEWLINE = b"\n"


def search_for(identity: str) -> Callable[[bytes], bool]:
    """Whether a line of a block's content can be about `identity`; False is certain.

    >>> is_there = search_for("year=1976|car_id=129")
    >>> is_there(b'[7.5,[],128,1976]\\n[7.5,[],129,1976]')
    True
    >>> is_there(b'[7.5,[],1290,1976]\\n[7.5,[],129,1977]')
    False
    """
    whole = _written(identity)  # as a line of outcomes holds it
    values = [part.partition("=")[2] for part in identity.split("|")]
    patterns = [_cell(value.replace("%7C", "|").replace("%25", "%")) for value in values]

    def is_there(content: bytes) -> bool:
        if whole in content:
            return True
        found = [pattern.findall(content) for pattern in patterns]
        rarest = min(range(len(found)), key=lambda at: len(found[at]))
        return any(
            all(pattern.search(line) for pattern in patterns)
            for match in patterns[rarest].finditer(content)
            for line in (_line_around(content, match.start()),)
        )

    return is_there


def _cell(value: str) -> re.Pattern[bytes]:
    """A value that stands behind others in its line, as text or as an integer."""
    return re.compile(rb',"?' + re.escape(_written(value)) + rb'"?[,\]]')


def _line_around(content: bytes, at: int) -> bytes:
    end = content.find(_NEWLINE, at)
    return content[content.rfind(_NEWLINE, 0, at) + 1 : len(content) if end < 0 else end]


def _written(text: str) -> bytes:
    """As RFC 8785 writes the text inside a string; and an integer's digits as they are."""
    return orjson.dumps(text)[1:-1]
