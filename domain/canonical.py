"""RFC 8785 canonical bytes: one JSON value, one byte string.

The ordinary document takes orjson's fast path, with whole floats as integers; whatever orjson would
write differently from RFC 8785 (floats from 1e-6 to 1e-5 and huge ones, keys beyond U+FFFF) goes to
`rfc8785`. A fuzz test holds the two byte-equal.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import orjson
import rfc8785
from msgspec import Meta

from domain.errors import NotCanonical
from domain.faults import pointer, shown

INTEGER_MAX: Final = 2**53 - 1  # beyond it, JSON readers that use doubles lose digits
CanonicalInteger = Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]  # one within it
PLAIN_FLOAT_MIN: Final = 1e-5  # every writer of JSON and RFC 8785 write the same digits
PLAIN_FLOAT_MAX: Final = 1e15  # between these two
_TINY: Final = 1e-6  # below it both write an exponent, and between it and 1e-5 only orjson does
_NAMES: Final = frozenset((str,))  # what names are
# Where the walk stands, as (parent, key): text is made of it only for a refusal, which is rare.
_Path: TypeAlias = "tuple[_Path, str | int] | None"
# How a number that is written otherwise ends; a text may look as if one stood in it. No digit is
# asked for before: what begins with one sign is found ten times as quickly.
_POINT_ZERO: Final = re.compile(rb"\.0(?=[,\]}]|\Z)")
_EXPONENT: Final = re.compile(rb"e(?:\+?[0-9]+|-[1-6])(?:[,\]}]|\Z)")  # from e-7 on they agree
_BETWEEN_OBJECTS: Final = b"},{"
_MINUS_ZERO: Final = re.compile(rb"-0\.0(?:[,\]}]|\Z)")
_BEYOND_FFFF: Final = re.compile(rb"[\xf0-\xff]")
_NUL_WRITTEN: Final = b"\\u0000"
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # behind no backslash that is one itself
DEPTH_MAX: Final = 64  # deeper documents are nobody's honest payload


def canonical_bytes(value: object) -> bytes:
    """The RFC 8785 (JCS) bytes of a JSON value.

    Tuples are arrays and mappings are objects.

    Raises:
        NotCanonical: NaN, infinity, |int| > 2^53 - 1, a lone surrogate, a key that is no string, or
            a type that JSON does not have; the message names the path.
    """
    if _check(value, None, 0):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    whole = _whole_as_integers(value)
    if _check(whole, None, 0):
        return orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)
    return rfc8785.dumps(value)  # type: ignore[arg-type]


def digest(value: object) -> str:
    """SHA-256 of the canonical bytes of `value`, 64 lowercase hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def bytes_as_read(value: object) -> bytes:
    """As `canonical_bytes`, in a fifth of its time, of a JSON value as somebody read it.

    Such a value holds nothing that is refused: so what orjson wrote is looked at, not the value. Of
    any other it gives what it likes, null for what is no number.
    """
    content = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if _is_as_rfc_8785_writes(content):
        return content
    if _MINUS_ZERO.search(content) is None:
        # Whole floats without their `.0`; that of a text must stay, so it is read again.
        content = _POINT_ZERO.sub(b"", content)
        if _is_as_rfc_8785_writes(content) and orjson.loads(content) == value:
            return content
    return canonical_bytes(value)


def digest_as_read(value: object) -> str:
    """The `digest` of such a value."""
    return sha256_hex(bytes_as_read(value))


def digests_as_read(values: Sequence[object]) -> list[bytes]:
    """`digest_as_read` of each, 32 bytes; of many objects together, in a fourth of the time."""
    together = bytes_as_read(list(values))
    if (
        {*map(type, values)} != {dict}
        or together.count(_BETWEEN_OBJECTS) != len(values) - 1  # so it stands in none of them
    ):
        return [hashlib.sha256(bytes_as_read(each)).digest() for each in values]
    objects = together[2:-2].split(_BETWEEN_OBJECTS)
    return [hashlib.sha256(b"{%b}" % each).digest() for each in objects]


def _is_as_rfc_8785_writes(content: bytes) -> bool:
    """Whether no key may stand elsewhere, and no number is written otherwise; no may mean yes.

    Keys stand in the order of UTF-8 and not of UTF-16, which differ beyond U+FFFF alone.
    """
    return (
        _POINT_ZERO.search(content) is None
        and _EXPONENT.search(content) is None
        and (content.isascii() or _BEYOND_FFFF.search(content) is None)
    )


def sha256_hex(content: bytes) -> str:
    """SHA-256 of `content`, 64 lowercase hex digits."""
    return hashlib.sha256(content).hexdigest()


def leaf_hash(content: bytes) -> bytes:
    """RFC 6962 leaf hash of an entry's bytes: SHA-256(0x00 || bytes), 32 bytes."""
    return hashlib.sha256(b"\x00" + content).digest()


def _whole_as_integers(value: object) -> object:
    """`value` with whole floats as the integers RFC 8785 writes them as: 5.0 as 5, -0.0 as 0.

    They are what makes most documents other than plain, and `rfc8785` takes ten times as long.
    """
    if type(value) is float and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    if type(value) is dict:
        return {key: _whole_as_integers(item) for key, item in value.items()}
    if type(value) is list or type(value) is tuple:
        return [_whole_as_integers(item) for item in value]
    return value


def _check(value: object, path: _Path, depth: int) -> bool:  # noqa: PLR0912
    """Whether orjson writes `value` as RFC 8785 does; refuses what has no canonical form."""
    kind = type(value)
    if kind is str:
        return _check_text(value, path)  # type: ignore[arg-type]
    if value is None or kind is bool:
        return True
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            raise _refused(
                path,
                value,
                "an integer beyond 2^53 - 1",
                "write one within it, or text where text is wanted",
            )
        return True
    if kind is float:
        return _check_float(value, path)  # type: ignore[arg-type]
    if depth >= DEPTH_MAX:
        raise _refused(path, "…", f"nested deeper than {DEPTH_MAX}", "flatten it")
    items: Iterable[tuple[str | int, Any]]
    if kind is dict:
        plain, items = _check_names(value, path), value.items()  # type: ignore[arg-type,attr-defined]
    elif kind is list or kind is tuple:
        plain, items = True, enumerate(value)  # type: ignore[arg-type]
    elif isinstance(value, Mapping):
        raise _refused(path, value, "a mapping that is no dict", "convert it to a dict")
    else:
        raise _refused(path, value, f"a {kind.__name__}", "use null, true, numbers, strings, lists")
    for step, item in items:
        ordinary = type(item)  # most values by far, without a call each
        if ordinary is str:
            if item.isascii():
                continue
        elif ordinary is float:
            if PLAIN_FLOAT_MIN <= item < PLAIN_FLOAT_MAX and not item.is_integer():
                continue
        elif ordinary is int:
            if -INTEGER_MAX <= item <= INTEGER_MAX:
                continue
        elif item is None:
            continue
        plain = _check(item, (path, step), depth + 1) and plain
    return plain


def _check_names(names: dict[Any, object], path: _Path) -> bool:
    """Whether orjson sorts them as RFC 8785 does; refuses what is no name.

    The one sorts by code points, the other by UTF-16: they differ beyond U+FFFF alone.
    """
    if not _NAMES.issuperset(map(type, names)):
        key = next(key for key in names if type(key) is not str)
        raise _refused(path, key, "a key that is not a string", "use string keys")
    together = "".join(names)
    if together.isascii():
        return True
    for key in names:
        _check_text(key, path)
    return max(together) <= "\uffff"


def _check_text(value: str, path: _Path) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refused(path, value, "a lone surrogate", "send valid Unicode") from None
    return True


def _check_float(value: float, path: _Path) -> bool:
    if not math.isfinite(value):
        raise _refused(path, value, "not a finite number", "leave it out, or send null")
    size = abs(value)
    if size < _TINY:
        return size > 0
    return PLAIN_FLOAT_MIN <= size < PLAIN_FLOAT_MAX and not value.is_integer()


def _refused(path: _Path, value: object, why: str, remedy: str) -> NotCanonical:
    steps: list[str | int] = []
    while path is not None:
        path, step = path
        steps.append(step)
    place = pointer(*reversed(steps)) or "/"
    return NotCanonical(f"{place}: {shown(value)} has no canonical form ({why}); {remedy}.")


def holds_nul(content: bytes) -> bool:
    """Whether a text in this JSON holds U+0000, which PostgreSQL keeps in no column of text.

    >>> holds_nul(b'["a\\\\u0000"]'), holds_nul(b'["a\\\\\\\\u0000"]')
    (True, False)
    """
    # One sign is looked for ten times as fast as six, and most JSON has no backslash at all.
    return b"\\" in content and _NUL_WRITTEN in content and _NUL.search(content) is not None
