"""The cells of CSV rows as the types that the contract names; what is no number stays text.

Many rows are read column by column: most columns are numbers to the last cell, which one look says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from domain.contract.contract import CategoryFeature, Contract

_NUMBER: Final = r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]{1,3}+)?"
_INTEGER: Final = r"[+-]?[0-9]{1,19}+"
_NUMBER_TEXT: Final = re.compile(_NUMBER)
_INTEGER_TEXT: Final = re.compile(_INTEGER)
_BREAK: Final = "\n"  # no cell holds one: a row is one line
_PLAIN: Final = b"0123456789+-.\n"
_NUMBERS_TEXT: Final = re.compile(rf"{_NUMBER}(?:{_BREAK}{_NUMBER})*+")
_INTEGERS_TEXT: Final = re.compile(rf"{_INTEGER}(?:{_BREAK}{_INTEGER})*+")


def _as_number(cell: str) -> object:
    return float(cell) if _NUMBER_TEXT.fullmatch(cell) else cell


def _as_integer(cell: str) -> object:
    return int(cell) if _INTEGER_TEXT.fullmatch(cell) else _as_number(cell)


class CsvCells:
    """Reads the cells of rows under one contract; an empty cell is null."""

    def __init__(self, contract: Contract) -> None:
        self._types: dict[str, Callable[[str], object]] = {contract.target.name: _as_number}
        for feature in contract.features:
            if not isinstance(feature, CategoryFeature):
                self._types[feature.name] = _as_number
            elif isinstance(feature.categories[0], int):
                self._types[feature.name] = _as_integer
        for column in contract.columns:
            if column.type != "text":
                self._types[column.name] = _as_integer if column.type == "integer" else _as_number

    def row(self, cells: Mapping[str, str | None]) -> dict[str, object]:
        """One row's cells by column."""
        types = self._types
        return {
            name: types[name](cell) if cell and name in types else cell or None
            for name, cell in cells.items()
        }

    def columns(
        self, header: Sequence[str], lines: Sequence[Sequence[str]]
    ) -> dict[str, Sequence[object]]:
        """What `row` makes of each of these lines, by columns.

        They have a cell for each column of the header, and no line break in one.
        """
        if not lines:
            return {name: () for name in header}
        columns = zip(header, zip(*lines, strict=True), strict=True)
        return {name: self._column(name, cells) for name, cells in columns}

    def _column(self, name: str, cells: Sequence[str]) -> Sequence[object]:
        read = self._types.get(name)
        if read is None:
            return [cell or None for cell in cells] if "" in cells else cells
        together = _BREAK.join(cells)
        if read is _as_integer and _INTEGERS_TEXT.fullmatch(together):
            return [*map(int, cells)]
        if read is _as_number:
            if not together.encode(errors="replace").translate(None, _PLAIN):
                try:  # of such signs Python reads as numbers what `_NUMBER` says, in half the time
                    return [*map(float, cells)]
                except ValueError:
                    pass
            if _NUMBERS_TEXT.fullmatch(together):
                return [*map(float, cells)]
        return [read(cell) if cell else None for cell in cells]
