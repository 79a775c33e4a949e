"""What is wrong with a document or a row, place by place, and how a message may show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

FAULTS_MAX: Final = 100  # that one error lists; what is beyond them is counted
STEP_LENGTH_MAX: Final = 200  # characters of one step of a pointer; a client may invent the names
PATH_SHOWN_MAX, MESSAGE_SHOWN_MAX, VALUE_SHOWN_MAX = 500, 1000, 200  # characters, in answers


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document or a row.

    `path` is a JSON pointer into what was sent ("/features/0/possible/min", "/rows/3/hpwt").
    """

    path: str
    message: str
    value: object = None

    @property
    def name(self) -> str:
        """The last step of `path` as it was sent: the field at fault.

        >>> Fault("/rows/3/a~1b", "is missing").name
        'a/b'
        """
        return self.path.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    def as_json(self) -> dict[str, object]:
        """The fault as JSON, short whatever was sent; what JSON cannot hold is told in words."""
        value = self.value
        if isinstance(value, str):
            value = value[:VALUE_SHOWN_MAX]
        elif not is_scalar(value):
            value = shown(value)  # never its text, which may be as long as the whole body
        elif isinstance(value, float) and not isfinite(value):
            value = repr(value)
        return {
            "path": _cut(self.path, PATH_SHOWN_MAX),
            "message": _cut(self.message, MESSAGE_SHOWN_MAX),
            "value": value,
        }


class Faults:
    """The first faults of something, in order, and how many more there are.

    What is beyond the list is counted and not kept, so that a refusal costs no more than its list.
    """

    __slots__ = ("listed", "more")

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.listed: list[Fault] = []
        self.more = 0
        self.extend(faults)

    def __len__(self) -> int:
        """All of them, whether listed or only counted."""
        return len(self.listed) + self.more

    @property
    def is_full(self) -> bool:
        """Whether another one would only be counted: then `count` it, and do not word it."""
        return len(self.listed) >= FAULTS_MAX

    def add(self, fault: Fault) -> None:
        """One more."""
        if self.is_full:
            self.more += 1
        else:
            self.listed.append(fault)

    def extend(self, faults: Iterable[Fault] | Faults) -> None:
        """Several more."""
        for fault in faults.listed if isinstance(faults, Faults) else faults:
            self.add(fault)
        if isinstance(faults, Faults):
            self.more += faults.more

    def count(self, further: int = 1) -> None:
        """So many more, which nobody words."""
        self.more += further


def pointer(*steps: str | int, below: str = "") -> str:
    """The JSON pointer (RFC 6901) of what stands `steps` below the place `below`.

    Every name that somebody else chose goes through here: `/` and `~` in it are escaped, and one
    of more than `STEP_LENGTH_MAX` characters is cut.

    >>> pointer("rows", 3, "a/b"), pointer("~", below="/data")
    ('/rows/3/a~1b', '/data/~0')
    """
    return below + "".join(
        f"/{_cut(str(step), STEP_LENGTH_MAX).replace('~', '~0').replace('/', '~1')}"
        for step in steps
    )


def summary(faults: Sequence[Fault] | Faults, most: int = 3) -> str:
    """The first faults, and how many more there are, without a full stop at the end."""
    first = (faults.listed if isinstance(faults, Faults) else faults)[:most]
    said = "; ".join(
        f"{_cut(fault.path, PATH_SHOWN_MAX) or '/'}: "
        f"{_cut(fault.message, MESSAGE_SHOWN_MAX).removesuffix('.')}"
        for fault in first
    )
    more = len(faults) - most
    return f"{said}; and {more} more" if more > 0 else said


def shown(value: object) -> str:
    """`value` as a message may show it: at most 80 characters, whatever it is.

    >>> shown("3"), shown(10**400), shown([3])
    ("'3'", 'an integer of 1329 bits', 'a list')
    """
    if type(value) is int and value.bit_length() > 64:  # noqa: PLR2004 its digits help nobody
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else value[:60] + "…")  # noqa: PLR2004
    if is_scalar(value):
        return repr(value)
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def is_scalar(value: object) -> bool:
    """Whether `value` is null, a truth value, a number or text."""
    return value is None or isinstance(value, bool | int | float | str)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
