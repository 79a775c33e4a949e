"""The lines of a block: one row each, as RFC 8785 writes its JSON array.

orjson writes an array as RFC 8785 does, unless a float in it is whole, tiny, huge or none that is
finite. What it would write otherwise is looked for by columns, which costs a tenth of looking at
each row, and columns are written as a whole, which costs a fourth of writing each row; a fuzz test
holds the lines to `canonical_bytes` and to the `rfc8785` package.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from typing import Final, NamedTuple

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

_TEXT: Final = frozenset((str,))
_NO_NUMBERS: Final = frozenset((str, bool, type(None)))
_LISTS: Final = frozenset((list, tuple))
_COMMALESS: Final = frozenset((int, float, bool, type(None)))


def lines_of(rows: Sequence[Sequence[object]]) -> list[bytes]:
    """The line of each row, all of them of one length; what is read back from it equals the row.

    Raises:
        NotCanonical: a row holds what JSON cannot, a text with U+0000 (NUL), or a number that reads
            back as another one (beyond 2^53 - 1). The message names its place in the row.
        ValueError: not all rows have as many values.
    """
    return lines_of_columns([*zip(*rows, strict=True)])


def lines_of_columns(columns: Sequence[Sequence[object]]) -> list[bytes]:
    """As `lines_of`, of the rows whose first values are the first column, and so on."""
    told = [_told(column) for column in columns]
    lines = _filled(b"[%b]" % b",".join(each.mark for each in told), told)
    odd = {index: tuple(each.written[index] for each in told) for index in _odd_of(told)}
    for index, row in odd.items():
        lines[index] = canonical_bytes(row)
    for row in odd.values():
        _refuse_what_reads_back_as_another(row)
    if holds_nul(b"".join(lines)):
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
    told = [_told(columns[name]) for name in names]
    members = [
        canonical_bytes(name).replace(b"%", b"%%") + b":" + each.mark
        for name, each in zip(names, told, strict=True)
    ]
    objects = _filled(b"{%b}" % b",".join(members), told)
    for index in _odd_of(told):
        row = {name: each.written[index] for name, each in zip(names, told, strict=True)}
        objects[index] = canonical_bytes(row)
    return objects


class _Told(NamedTuple):
    """A column as JSON."""

    mark: bytes  # what stands for a value of it: the text, or the text in quotes
    texts: Sequence[bytes]  # of each value, without its quotes
    written: Sequence[object]  # the column with whole floats as integers
    odd: Collection[int]  # rows whose text is none: the way round must say them


_BARE: Final = b"%b"
_QUOTED: Final = b'"%b"'


def _odd_of(told: Sequence[_Told]) -> list[int]:
    """The rows that have an odd value in one of the columns, in order: the first is refused."""
    return sorted({index for each in told for index in each.odd})


def _filled(template: bytes, told: Sequence[_Told]) -> list[bytes]:
    return [template % row for row in zip(*(each.texts for each in told), strict=True)]


def _told(column: Sequence[object]) -> _Told:
    """Many values at once where one look says that their texts can be told from each other."""
    kinds = frozenset(map(type, column))
    if kinds <= _LISTS and not any(column):
        return _Told(_BARE, [b"[]"] * len(column), column, ())
    written, odd = _written(column, kinds)
    try:
        if kinds == _TEXT:
            together = orjson.dumps(written)
            if b"\\" not in together:  # so a quote ends a text, wherever it stands
                return _Told(_QUOTED, together[2:-2].split(b'","'), written, odd)
        elif kinds <= _COMMALESS:
            return _Told(_BARE, orjson.dumps(written)[1:-1].split(b","), written, odd)
    except TypeError:  # what orjson cannot write, in a row that is odd at least
        pass
    return _told_one_by_one(written, {*odd})


def _told_one_by_one(written: Sequence[object], odd: set[int]) -> _Told:
    texts = []
    for index, value in enumerate(written):
        try:
            texts.append(orjson.dumps(value))
        except TypeError:
            texts.append(b"")
            odd.add(index)
    return _Told(_BARE, texts, written, odd)


def _written(
    column: Sequence[object], kinds: Set[type]
) -> tuple[Sequence[object], Collection[int]]:
    """The column with whole floats as integers, and the rows in which orjson needs help with it."""
    if kinds <= _NO_NUMBERS:
        return column, []
    if kinds == {int} and -INTEGER_MAX <= min(column) and max(column) <= INTEGER_MAX:  # type: ignore[type-var,operator]
        return column, []
    if kinds == {float}:
        numbers = np.array(column, dtype=np.float64)
        size = np.abs(numbers)
        integers = (numbers == np.trunc(numbers)) & (size <= INTEGER_MAX)
        plain = integers | (
            (size >= PLAIN_FLOAT_MIN) & (size < PLAIN_FLOAT_MAX) & (numbers != np.trunc(numbers))
        )
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
