"""Strict JSON: what passes has one meaning, whoever reads it next.

No key twice, no NaN and no infinity, no integer beyond ±(2^53 − 1), no NUL, no lone surrogate, no
more than 64 levels. Each takes time in proportion to the text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from domain.canonical import DEPTH_MAX, INTEGER_MAX
from domain.errors import DocumentInvalid, Fault, pointer, summary

_INTEGER_LENGTH_MAX: Final = len(str(-INTEGER_MAX))


def read_json(text: str, *, name: str) -> Any:
    """The JSON value that `text`, decoded from UTF-8, holds.

    Args:
        text: the JSON.
        name: what it is called in errors: a file name, "the body".

    Raises:
        DocumentInvalid: it is no JSON, or not strictly; every fault with its JSON pointer.
    """
    hooks = _Hooks()
    decoder = json.JSONDecoder(
        object_pairs_hook=hooks.object,
        parse_constant=hooks.constant,
        parse_int=hooks.integer,
        parse_float=hooks.fraction,
    )
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise DocumentInvalid(
            f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}. "
            "Correct it there; send one JSON value."
        ) from None
    except RecursionError:
        raise _too_deep(name) from None
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_deeper(value, DEPTH_MAX):
        raise _too_deep(name)
    # Only an escape brings in NUL, or what UTF-8 itself cannot hold.
    faults = list(_faults(value, "")) if hooks.refused or "\\u" in text else []
    if faults:
        raise DocumentInvalid(f"{name} is not taken: {summary(faults)}.", faults)
    return value


@dataclass(frozen=True, slots=True)
class _Refused:
    """Stands for a value that is refused, until it is known where, and says why."""

    why: str


class _Hooks:
    """What Python's JSON reader asks about each object and number."""

    def __init__(self) -> None:
        self.refused = False

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    why = f"the key {key[:100]!r} stands twice in one object; keep one"
                    found[key] = self._refuse(why)
                seen.add(key)
        return found

    def constant(self, name: str) -> _Refused:
        return self._refuse(f"{name} is not JSON; leave the field out, or send null")

    def integer(self, digits: str) -> int | _Refused:
        if len(digits) <= _INTEGER_LENGTH_MAX:
            number = int(digits)
            if -INTEGER_MAX <= number <= INTEGER_MAX:
                return number
        return self._refuse(
            f"the integer {digits[:40]} is beyond ±{INTEGER_MAX} (2^53 - 1), where readers lose "
            "digits; send one within it, or text where the contract wants text"
        )

    def fraction(self, digits: str) -> float | _Refused:
        number = float(digits)
        if math.isfinite(number):
            return number
        return self._refuse(f"the number {digits[:40]} is too large; send a finite one, or null")

    def _refuse(self, why: str) -> _Refused:
        self.refused = True
        return _Refused(why)


def _faults(value: Any, path: str) -> Iterator[Fault]:
    if isinstance(value, _Refused):
        yield Fault(path, value.why)
    elif isinstance(value, str):
        if (sign := _broken_sign(value)) is not None:
            yield Fault(path, f"holds {sign}; send plain text")
    elif isinstance(value, dict):
        for key, item in value.items():
            if (sign := _broken_sign(key)) is not None:
                yield Fault(path, f"has a key with {sign}; send plain text")
                continue
            yield from _faults(item, pointer(key, below=path))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, pointer(index, below=path))


def _broken_sign(text: str) -> str | None:
    """The first sign of `text` that no database or no UTF-8 takes; None without one."""
    for sign in text:
        if sign == "\0":
            return "U+0000 (NUL)"
        if "\ud800" <= sign <= "\udfff":
            return f"U+{ord(sign):04X} (a lone surrogate)"
    return None


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists stand in each other more than `levels` deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        level = [
            item
            for each in level
            for item in (each.values() if type(each) is dict else each)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return True


def _too_deep(name: str) -> DocumentInvalid:
    return DocumentInvalid(f"{name} is nested too deeply, beyond {DEPTH_MAX} levels; flatten it.")
