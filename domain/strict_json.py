"""Strict JSON: what passes has one meaning, whoever reads it next.

No key twice, no NaN and no infinity, no integer beyond ±(2^53 − 1), no NUL, no lone surrogate, no
more than 64 levels. Each takes time in proportion to the text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from domain.canonical import DEPTH_MAX, INTEGER_MAX
from domain.errors import DocumentInvalid
from domain.faults import FAULTS_MAX, Fault, Faults, pointer, summary
from domain.quick_json import UNREAD, is_deeper, read_json_quickly

_INTEGER_LENGTH_MAX: Final = len(str(-INTEGER_MAX))
_DIGITS_SHOWN_MAX: Final = 40
_BROKEN: Final = re.compile("[\0\ud800-\udfff]")  # what no database or no UTF-8 takes
_PAUSE_EVERY: Final = 64  # values that are looked at one by one


def without_pause() -> None:
    """Whoever reads a short text holds nobody up."""


def read_json(text: str, *, name: str, pause: Callable[[], None] = without_pause) -> Any:
    """The JSON value that `text`, decoded from UTF-8, holds.

    Args:
        text: the JSON.
        name: what it is called in errors: a file name, "the body".
        pause: called again and again while a text is read that is most likely refused; not by
            the scanner in C, which goes through texts and names without asking anybody.

    Raises:
        DocumentInvalid: it is no JSON, or not strictly; the first faults with their JSON pointers.
    """
    if (quick := read_json_quickly(text)) is not UNREAD:
        return quick
    hooks = _Hooks(pause)
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
    if text.count("[") + text.count("{") > DEPTH_MAX and is_deeper(value, DEPTH_MAX):
        raise _too_deep(name)
    # Only an escape brings in NUL, or what UTF-8 itself cannot hold.
    escapes = "\\u" in text
    faults = Faults()
    if hooks.refused or escapes:
        faults = _faults(value, hooks.refused, escapes, pause)
    if len(faults):
        raise DocumentInvalid(f"{name} is not taken: {summary(faults)}.", faults)
    return value


class _Refused:
    """Stands for a value that is refused, until it is known where, and says why."""

    __slots__ = ("is_name", "why")

    def __init__(self, why: str, *, is_name: bool = False) -> None:
        self.why = why
        self.is_name = is_name  # of a field


_UNTOLD: Final = _Refused("is refused as others before it; correct it as those")


class _Hooks:
    """What Python's JSON reader asks about each object and number."""

    def __init__(self, pause: Callable[[], None]) -> None:
        self.refused = 0
        self._pause = pause
        self._asked = 0

    def _ask(self) -> None:
        self._asked += 1
        if self._asked % _PAUSE_EVERY == 0:
            self._pause()

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self._ask()
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    found[key] = self._refuse(
                        "the key {!r} stands twice in one object; keep one", key
                    )
                seen.add(key)
        return found

    def constant(self, name: str) -> _Refused:
        return self._refuse("{} is not JSON; leave the field out, or send null", name)

    def integer(self, digits: str) -> int | _Refused:
        self._ask()
        if len(digits) <= _INTEGER_LENGTH_MAX:
            number = int(digits)
            if -INTEGER_MAX <= number <= INTEGER_MAX:
                return number
        return self._refuse(
            f"the integer {{}} is beyond ±{INTEGER_MAX} (2^53 - 1), where readers lose "
            "digits; send one within it, or text where the contract wants text",
            digits[:_DIGITS_SHOWN_MAX],
        )

    def fraction(self, digits: str) -> float | _Refused:
        self._ask()
        number = float(digits)
        if math.isfinite(number):
            return number
        why = "the number {} is too large; send a finite one, or null"
        return self._refuse(why, digits[:_DIGITS_SHOWN_MAX])

    def _refuse(self, why: str, what: str) -> _Refused:
        """A refusal; of more than can be listed none is worded."""
        self._ask()
        self.refused += 1
        return _Refused(why.format(what[:100])) if self.refused <= FAULTS_MAX else _UNTOLD


# A place in the value: the place it stands in, and the step from there; None at the top. A pointer
# is made of it only where there is a fault to list.
_Place = tuple[Any, str | int] | None


def _faults(value: Any, refused: int, escapes: bool, pause: Callable[[], None]) -> Faults:
    """What is refused in `value`, in its order; looked for no longer than it has to be.

    Args:
        value: what was read.
        refused: how many values the hooks refused.
        escapes: whether some text may hold what is refused only now.
        pause: called again and again.
    """
    found = Faults()
    listed = 0  # of those that the hooks refused
    seen = 0
    waiting: list[Iterator[tuple[Any, _Place]]] = [iter([(value, None)])]
    while waiting:
        for here, place in waiting[-1]:
            seen += 1
            if seen % _PAUSE_EVERY == 0:
                pause()
            if isinstance(here, dict):
                waiting.append(_fields(here, place) if escapes else _plain_fields(here, place))
                break
            if isinstance(here, list):
                waiting.append(_items(here, place))
                break
            why = here.why if isinstance(here, _Refused) else _broken_text(here)
            if why is None:
                continue
            listed += isinstance(here, _Refused) and not here.is_name
            if found.is_full:
                found.count()
            else:
                found.add(Fault(_pointer_to(place), why))
            if found.is_full and not escapes:
                found.count(refused - listed)  # the hooks have counted the others
                return found
        else:
            waiting.pop()
    return found


def _items(values: list[Any], place: _Place) -> Iterator[tuple[Any, _Place]]:
    return ((item, (place, index)) for index, item in enumerate(values))


def _plain_fields(fields: dict[str, Any], place: _Place) -> Iterator[tuple[Any, _Place]]:
    return ((item, (place, key)) for key, item in fields.items())


def _fields(fields: dict[str, Any], place: _Place) -> Iterator[tuple[Any, _Place]]:
    """As `_plain_fields`; in place of a value whose name is refused, that."""
    for key, item in fields.items():
        if (found := _BROKEN.search(key)) is None:
            yield item, (place, key)
        else:
            why = f"has a key with {_sign(found[0])}; send plain text"
            yield _Refused(why, is_name=True), place


def _broken_text(value: Any) -> str | None:
    """Why text holds what no database or no UTF-8 takes; None for every other value."""
    found = _BROKEN.search(value) if isinstance(value, str) else None
    return f"holds {_sign(found[0])}; send plain text" if found else None


def _sign(sign: str) -> str:
    return "U+0000 (NUL)" if sign == "\0" else f"U+{ord(sign):04X} (a lone surrogate)"


def _pointer_to(place: _Place) -> str:
    steps: list[str | int] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return pointer(*reversed(steps))


def _too_deep(name: str) -> DocumentInvalid:
    return DocumentInvalid(f"{name} is nested too deeply, beyond {DEPTH_MAX} levels; flatten it.")
