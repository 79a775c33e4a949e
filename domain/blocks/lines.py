"""The lines of a block: one row each, as RFC 8785 writes its JSON array.

orjson writes an array as RFC 8785 does, unless a float in it is whole, tiny, huge or none that is
finite. What it would write otherwise is looked for by columns, which costs a tenth of looking at
each row, and the rows are written together, which costs a third of writing each; a fuzz test holds
the lines to `canonical_bytes` and to the `rfc8785` package.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from contextlib import suppress
from functools import lru_cache
from types import NoneType
from typing import Final

import msgspec
import numpy as np
import orjson

from domain.blocks.layouts import in_canonical_order
from domain.canonical import (
    INTEGER_MAX,
    PLAIN_FLOAT_MAX,
    PLAIN_FLOAT_MIN,
    canonical_bytes,
    holds_nul,
)
from domain.errors import NotCanonical

_NO_NUMBERS: Final = frozenset((str, bool, NoneType))
_INTEGERS_OR_NONE: Final = frozenset((int, NoneType))
_LISTS: Final = frozenset((list, tuple))
_NEWLINE: Final = b"\n"
_BETWEEN_ARRAYS: Final = b"],["
_BETWEEN_OBJECTS: Final = b"},{"


def lines_of(rows: Sequence[Sequence[object]]) -> list[bytes]:
    """The line of each row, all of them of one length; what is read back from it equals the row.

    Raises:
        NotCanonical: a row holds what JSON cannot, a text with U+0000 (NUL), or a number that reads
            back as another one (beyond 2^53 - 1). The message names its place in the row.
        ValueError: not all rows have as many values.
    """
    return _apart(lines_of_columns([*zip(*rows, strict=True)]))


def lines_of_columns(columns: Sequence[Sequence[object]]) -> bytes:
    """As `lines_of`, of the rows whose first values are the first column, and so on; a newline
    between two lines, which none of them has."""
    written, odd = _all_written(columns)
    rows = [*zip(*written, strict=True)]
    lines = _lines(rows, odd, _BETWEEN_ARRAYS)
    for index in sorted(odd):
        _refuse_what_reads_back_as_another(rows[index])
    if holds_nul(lines):
        raise NotCanonical(
            "a text of a row holds U+0000 (NUL), which not every database keeps. Leave it out."
        )
    return lines


def objects_of(columns: Mapping[str, Sequence[object]]) -> list[bytes]:
    """The canonical bytes (`canonical_bytes`) of rows, which are given by columns.

    Raises:
        NotCanonical: as `canonical_bytes`.
    """
    names = in_canonical_order(columns)
    written, odd = _all_written([columns[name] for name in names])
    if not odd:
        with suppress(TypeError, ValueError):  # what nobody can write, or a name with a quote
            return _apart(_objects_together(names, written))
    rows = [dict(zip(names, row, strict=True)) for row in zip(*written, strict=True)]
    return _apart(_lines(rows, odd, _BETWEEN_OBJECTS))


def _objects_together(names: Sequence[str], columns: Sequence[Sequence[object]]) -> bytes:
    """A newline between two. To make dicts of them would take twice as long as all the rest."""
    rows = [*map(_object_of(tuple(names)), *columns)] if names else []
    return _between_newlines(msgspec.json.encode(rows), rows, msgspec.json.encode, _BETWEEN_OBJECTS)


@lru_cache(maxsize=64)
def _object_of(names: tuple[str, ...]) -> type[msgspec.Struct]:
    fields = [f"c{index}" for index in range(len(names))]
    spelt = dict(zip(fields, names, strict=True))
    return msgspec.defstruct("Object", fields, rename=spelt, gc=False)


def _apart(lines: bytes) -> list[bytes]:
    return lines.split(_NEWLINE) if lines else []


def _lines(rows: Sequence[object], odd: set[int], between: bytes) -> bytes:
    """The JSON of rows, a newline between two; `odd` comes to hold all that need the way round."""
    if not odd:
        with suppress(TypeError):  # what orjson cannot write, in a row that is odd at least
            return _written_together(rows, between)
    lines = []
    for index, row in enumerate(rows):
        if index not in odd:
            try:
                lines.append(orjson.dumps(row))
                continue
            except TypeError:
                odd.add(index)
        lines.append(canonical_bytes(row))
    return _NEWLINE.join(lines)


def _written_together(rows: Sequence[object], between: bytes) -> bytes:
    """The same where orjson writes all of them. Raises TypeError."""
    return _between_newlines(orjson.dumps(rows), rows, orjson.dumps, between)


def _between_newlines(
    array: bytes, rows: Sequence[object], dumps: Callable[[object], bytes], between: bytes
) -> bytes:
    """The elements of a JSON array, which are these rows."""
    if array.count(between) == len(rows) - 1:  # so it stands in no text, and in no row
        return array[1:-1].replace(between, between.replace(b",", _NEWLINE))
    return _NEWLINE.join(map(dumps, rows))


def _all_written(
    columns: Sequence[Sequence[object]],
) -> tuple[list[Sequence[object]], set[int]]:
    """Each column as `_written`, and the rows in which orjson needs help with one of them."""
    told = [_written(column, frozenset(map(type, column))) for column in columns]
    return [written for written, _ in told], {index for _, odd in told for index in odd}


def _written(
    column: Sequence[object], kinds: Set[type]
) -> tuple[Sequence[object], Collection[int]]:
    """The column with whole floats as integers, and the rows in which orjson needs help with it."""
    if kinds <= _NO_NUMBERS or (kinds <= _LISTS and not any(column)):
        return column, []
    if kinds <= _INTEGERS_OR_NONE:
        there = column if NoneType not in kinds else [each for each in column if each is not None]
        if -INTEGER_MAX <= min(there) and max(there) <= INTEGER_MAX:  # type: ignore[type-var,operator]
            return column, []
    if kinds == {float}:
        numbers = np.array(column, dtype=np.float64)
        size, whole = np.abs(numbers), numbers == np.trunc(numbers)
        if size.min() >= PLAIN_FLOAT_MIN and size.max() < PLAIN_FLOAT_MAX and not whole.any():
            return column, []
        integers = whole & (size <= INTEGER_MAX)
        plain = integers | ((size >= PLAIN_FLOAT_MIN) & (size < PLAIN_FLOAT_MAX) & ~whole)
        if integers.any():
            pairs = zip(column, integers.tolist(), strict=True)
            column = [int(value) if whole else value for value, whole in pairs]  # type: ignore[call-overload]
        return column, np.flatnonzero(~plain).tolist()
    written = [_whole_as_integer(value) for value in column]
    return written, [index for index, value in enumerate(written) if not _is_plain(value)]


def _whole_as_integer(value: object) -> object:
    if type(value) is float and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind is float:
        return PLAIN_FLOAT_MIN <= abs(value) < PLAIN_FLOAT_MAX and not value.is_integer()  # type: ignore[arg-type,attr-defined]
    if kind is int:
        return -INTEGER_MAX <= value <= INTEGER_MAX  # type: ignore[operator]
    if kind is list or kind is tuple:
        return all(type(item) is str for item in value)  # type: ignore[attr-defined]
    return kind in _NO_NUMBERS


def _refuse_what_reads_back_as_another(row: Sequence[object]) -> None:
    """Refuse a float that is written as an integer too large to be read again as what it was."""
    for index, value in enumerate(row):
        if type(value) is float and abs(value) > INTEGER_MAX:
            raise NotCanonical(
                f"/{index}: {value!r} has no canonical form that reads back the same (a number "
                "beyond 2^53 - 1); choose a larger unit."
            )
