"""A column of many rows in little memory.

A million values as Python objects take 32 MB and more. Here a number takes 10 bytes a row, and text
5 bytes a row and each different text once.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Final, SupportsIndex, cast, overload

import numpy as np
from numpy.typing import NDArray

Value = float | int | str | None
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Whole = NDArray[np.int64]
Moments = NDArray[np.datetime64]  # UTC, microseconds

_AT_ONCE: Final = 8_192  # values that are Python objects at a time
_DIGEST_BYTES: Final = 16  # two texts share one once in 2^64 tries, so nobody finds such a pair


@dataclass(frozen=True, slots=True, eq=False)
class Packed(Sequence[Value]):
    """The values of one column, as they were and in their order.

    Either `numbers`, or, where one of the values is text, `levels` and the level of each row.
    """

    numbers: Floats | None  # of each row; NaN where missing
    whole: Flags  # which of them are int; empty where there are levels
    absent: Flags  # which rows lack a value
    at: NDArray[np.int32]  # of each row: its place in `levels`; empty where there are numbers
    levels: tuple[Value, ...]  # each different value once, as it came first; None for missing

    @property
    def missing(self) -> int:
        """How many rows lack a value."""
        return int(np.count_nonzero(self.absent))

    def present(self) -> Iterator[float | int | str]:
        """The values there are, in order."""
        return (value for value in self if value is not None)

    def total(self) -> float:
        """The exact sum of the numbers there are, rounded once.

        Raises:
            ValueError: one of them is text that is no number.
        """
        return math.fsum(map(float, self.present()))

    def counts(self) -> Counter[Value]:
        """How often each value occurs; None: how many are missing."""
        if self.numbers is None:
            rows = np.bincount(self.at, minlength=len(self.levels)).tolist()
            counted: Counter[Value] = Counter()
            for level, of_level in zip(self.levels, rows, strict=True):
                counted[level] += of_level  # 1 and 1.0 are two levels and one value
            return counted
        values, often = np.unique(self.numbers[~self.absent], return_counts=True)
        found: Counter[Value] = Counter(dict(zip(values.tolist(), often.tolist(), strict=True)))
        if self.missing:
            found[None] = self.missing
        return found

    def each(self, number_of: Callable[[Value], int]) -> Whole:
        """What `number_of` gives for the value of each row; asked once for each different value."""
        if self.numbers is None:
            return np.array([number_of(level) for level in self.levels], np.int64)[self.at]
        values, place = np.unique(self.numbers[~self.absent], return_inverse=True)
        found = np.full(len(self), number_of(None), np.int64)
        found[~self.absent] = np.array([number_of(each) for each in values.tolist()], np.int64)[
            place
        ]
        return found

    def __len__(self) -> int:
        """Rows."""
        return len(self.absent)

    def __iter__(self) -> Iterator[Value]:
        """The value of each row, None where it is missing."""
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    @overload
    def __getitem__(self, index: SupportsIndex) -> Value: ...
    @overload
    def __getitem__(self, index: slice) -> list[Value]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Value | list[Value]:
        """The value of one row, or of some."""
        if not isinstance(index, slice):
            at = range(len(self))[index]
            return self[at : at + 1][0]
        if self.numbers is None:
            return [self.levels[at] for at in self.at[index].tolist()]
        found: list[Value] = self.numbers[index].tolist()
        for at in np.flatnonzero(self.absent[index]).tolist():
            found[at] = None
        for at in np.flatnonzero(self.whole[index]).tolist():
            found[at] = int(cast("float", found[at]))
        return found

    def only(self, rows: Flags) -> Packed:
        """The column of these rows alone."""
        if self.numbers is None:
            return Packed(None, self.whole, self.absent[rows], self.at[rows], self.levels)
        return Packed(self.numbers[rows], self.whole[rows], self.absent[rows], self.at, self.levels)

    def taken(self, order: Whole) -> Packed:
        """The column with its rows in this order: as if their values had come so.

        >>> pack(["b", "a", "b", 1]).taken(np.array([3, 1, 2, 0])).levels
        (1, 'a', 'b')
        """
        if bool(np.all(order == np.arange(len(self)))):
            return self
        if self.numbers is not None:
            return Packed(
                self.numbers[order], self.whole[order], self.absent[order], self.at, self.levels
            )
        at = self.at[order]
        _, first = np.unique(at, return_index=True)
        came = at[np.sort(first)]  # the levels, as they come in this order
        number = np.zeros(len(self.levels), np.int32)
        number[came] = np.arange(len(came), dtype=np.int32)
        levels = tuple(self.levels[level] for level in came.tolist())
        return Packed(None, self.whole, self.absent[order], number[at], levels)


class Packing:
    """A column is packed, as its values come."""

    def __init__(self) -> None:
        self._numbers, self._whole, self._absent = array("d"), bytearray(), bytearray()
        self._at = array("i")
        self._levels: dict[tuple[type, Value], int] | None = None  # once a value is text

    def add(self, page: list[Value]) -> None:
        """Some values more."""
        if self._levels is None and any(isinstance(value, str) for value in page):
            before, self._levels = self.packed(), {}
            self._level(before)
        if self._levels is not None:
            self._level(page)
            return
        self._numbers.frombytes(np.array(page, np.float64).tobytes())
        self._whole += bytes(isinstance(value, int) for value in page)
        self._absent += bytes(value is None for value in page)

    def add_missing(self, rows: int) -> None:
        """So many rows lack a value."""
        for start in range(0, rows, _AT_ONCE):
            self.add([None] * min(_AT_ONCE, rows - start))

    def packed(self) -> Packed:
        """What has come; nothing is added to that any more."""
        if self._levels is None:
            return Packed(
                np.frombuffer(self._numbers, np.float64),
                np.frombuffer(self._whole, np.bool_),
                np.frombuffer(self._absent, np.bool_),
                np.empty(0, np.int32),
                (),
            )
        at = np.frombuffer(self._at, np.int32)
        missing = at == self._levels.get((type(None), None), -1)
        levels = tuple(value for _, value in self._levels)
        return Packed(None, np.empty(0, np.bool_), missing, at, levels)

    def _level(self, values: Iterable[Value]) -> None:
        levels = cast("dict[tuple[type, Value], int]", self._levels)
        self._at.extend(levels.setdefault((type(value), value), len(levels)) for value in values)


def pack(values: Iterable[Value]) -> Packed:
    """The values in little memory, read once, in order; what is packed already stays as it is."""
    if isinstance(values, Packed):
        return values
    packing, given = Packing(), iter(values)
    while page := list(islice(given, _AT_ONCE)):
        packing.add(page)
    return packing.packed()


def numbered(keys: Sequence[str] | Whole) -> Whole:
    """A number for each row from 0, in the order in which the different keys come first.

    >>> numbered(["b", "a", "b"]).tolist(), numbered(np.array([7, 3, 7])).tolist()
    ([0, 1, 0], [0, 1, 0])
    """
    return in_order_of_coming(keys if isinstance(keys, np.ndarray) else text_digests(keys))


def in_order_of_coming(keys: NDArray[np.bytes_] | Whole) -> Whole:
    """`numbered`, of digests or of other numbers."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place]


class Numbering:
    """`numbered`, of digests that come page by page: 24 bytes for each different one."""

    def __init__(self) -> None:
        self.keys: NDArray[np.bytes_] = text_digests([])  # each different one, in their order
        self._numbers = np.empty(0, np.int64)  # of each of them

    def of(self, page: NDArray[np.bytes_]) -> Whole:
        """The number of each of these; those that have none get the next ones."""
        at = np.searchsorted(self.keys, page)
        known = np.zeros(len(page), np.bool_)
        inside = at < len(self.keys)
        known[inside] = self.keys[at[inside]] == page[inside]
        fresh, first, place = np.unique(page[~known], return_index=True, return_inverse=True)
        number = np.empty(len(fresh), np.int64)
        number[np.argsort(first)] = np.arange(len(self.keys), len(self.keys) + len(fresh))
        found = np.empty(len(page), np.int64)
        found[known] = self._numbers[at[known]]
        found[~known] = number[place]
        where = np.searchsorted(self.keys, fresh)
        self.keys = np.insert(self.keys, where, fresh)
        self._numbers = np.insert(self._numbers, where, number)
        return found


class Texts:
    """Texts in their order, in the bytes that each has and 8 more."""

    def __init__(self) -> None:
        self._bytes, self._ends = bytearray(), array("q")

    def add(self, text: str) -> None:
        """One more."""
        self._bytes += text.encode()
        self._ends.append(len(self._bytes))

    def __iter__(self) -> Iterator[str]:
        """Each of them."""
        start = 0
        for end in self._ends:
            yield self._bytes[start:end].decode()
            start = end


def text_digests(texts: Iterable[str]) -> NDArray[np.bytes_]:
    """16 bytes that stand for each text: alike for the same text, different for others."""
    digests = bytearray()
    for text in texts:
        digests += blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
    return np.frombuffer(digests, f"S{_DIGEST_BYTES}")


def moments_of(times: Sequence[str]) -> Moments:
    """The same times, in our one form, in 8 bytes each."""
    return np.array([time[:-1] for time in times], "datetime64[us]")


def times_at(moments: Moments) -> list[str]:
    """The same times as text.

    >>> times_at(moments_of(["1976-07-01T00:00:00.000001Z"]))
    ['1976-07-01T00:00:00.000001Z']
    """
    return [f"{each}Z" for each in np.datetime_as_string(moments, unit="us").tolist()]


def one_by_one(numbers: Floats) -> Iterator[float]:
    """The numbers as Python has them, some thousand in memory at a time."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield from numbers[start : start + _AT_ONCE].tolist()
