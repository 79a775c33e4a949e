"""The cells of a CSV row as the types that the contract names; what is no number stays text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from domain.contract.contract import CategoryFeature, Contract

_NUMBER_TEXT: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_INTEGER_TEXT: Final = re.compile(r"[+-]?[0-9]{1,19}")


def cell_types(contract: Contract) -> dict[str, Callable[[str], object]]:
    """Column -> how its cells are read, for every column that is not text."""
    types: dict[str, Callable[[str], object]] = {contract.target.name: _as_number}
    for feature in contract.features:
        if not isinstance(feature, CategoryFeature):
            types[feature.name] = _as_number
        elif isinstance(feature.categories[0], int):
            types[feature.name] = _as_integer
    for column in contract.columns:
        if column.type != "text":
            types[column.name] = _as_integer if column.type == "integer" else _as_number
    return types


def _as_number(cell: str) -> object:
    return float(cell) if _NUMBER_TEXT.fullmatch(cell) else cell


def _as_integer(cell: str) -> object:
    return int(cell) if _INTEGER_TEXT.fullmatch(cell) else _as_number(cell)
