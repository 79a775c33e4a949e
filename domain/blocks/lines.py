"""The lines of a block: one row each, as RFC 8785 writes its JSON array.

orjson writes an array as RFC 8785 does, unless a float in it is whole, tiny, huge or none that is
finite. What it would write otherwise is looked for by columns, which costs a tenth of looking at
each row; a fuzz test holds the lines to `canonical_bytes` and to the `rfc8785` package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Final

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

_NO_NUMBERS: Final = frozenset((str, bool, type(None)))


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
    odd, written_rows = _written_rows(columns)
    lines = _as_json(written_rows, odd)
    for index in odd:
        _refuse_what_reads_back_as_another(written_rows[index])
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
    odd, written_rows = _written_rows([columns[name] for name in names])
    return _as_json([dict(zip(names, values, strict=True)) for values in written_rows], odd)


def _written_rows(
    columns: Sequence[Sequence[object]],
) -> tuple[set[int], list[tuple[object, ...]]]:
    """The rows with whole floats as integers, and those in which orjson needs help."""
    odd: set[int] = set()
    written_columns = []
    for column in columns:
        written, others = _written(column)
        written_columns.append(written)
        odd.update(others)
    return odd, list(zip(*written_columns, strict=True))


def _as_json(values: Sequence[object], odd: Set[int]) -> list[bytes]:
    """Each of what has been brought into canonical order; of the `odd` a number needs help."""
    if not odd:
        try:
            return [orjson.dumps(value) for value in values]
        except TypeError:  # what orjson cannot write; the way round says where it stands
            pass
    written = []
    for index, value in enumerate(values):
        try:
            written.append(canonical_bytes(value) if index in odd else orjson.dumps(value))
        except TypeError:
            written.append(canonical_bytes(value))
    return written


def _written(column: Sequence[object]) -> tuple[Sequence[object], list[int]]:
    """The column with whole floats as integers, and the rows in which orjson needs help with it."""
    kinds = frozenset(map(type, column))
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
