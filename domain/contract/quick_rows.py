"""The rows of a batch accepted together, column by column; or none of them, and nothing said.

It accepts what the checks of a contract accept one by one, with the same values, in an eighth of
the time. What it does not accept may be good all the same (1971.0 for 1971): whoever asks judges it
row by row, in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from domain.canonical import INTEGER_MAX
from domain.contract.checks import Check, Refusal, Value
from domain.contract.contract import (
    CategoryFeature,
    ColumnSpec,
    Contract,
    FeatureSpec,
    NumberFeature,
    Range,
    TargetSpec,
)

_Column = tuple[Value, ...]
_ANY: Final = Range(min=-INTEGER_MAX, max=INTEGER_MAX)


class QuickRows:
    """Reads rows with these columns, in this order.

    Args:
        contract: whose columns they are.
        checks: of each column, which say what it may hold.
    """

    def __init__(self, contract: Contract, checks: Mapping[str, Check]) -> None:
        self._names = tuple(checks)
        specs: dict[str, FeatureSpec | ColumnSpec | TargetSpec] = {
            each.name: each for each in (*contract.features, *contract.columns, contract.target)
        }
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
        self._others: list[tuple[int, Check]] = []  # columns that are not held by their type alone
        self._numbers: list[int] = []
        for index, (name, check) in enumerate(checks.items()):
            spec = specs[name]
            kind = _type_of(spec)
            if kind is float:
                self._numbers.append(index)
                possible = getattr(spec, "possible", None) or _ANY
                kind = Annotated[float, Meta(ge=possible.min, le=possible.max)]
            else:
                self._others.append((index, check))
            missing = not isinstance(spec, TargetSpec) and spec.missing == "allowed"
            fields.append((f"c{index}", kind | None, None) if missing else (f"c{index}", kind))
        for index in range(len(contract.ignored)):
            fields.append((f"i{index}", Any, None))
        spelt = {f"c{index}": name for index, name in enumerate(self._names)}
        spelt |= {f"i{index}": column.name for index, column in enumerate(contract.ignored)}
        sent_row = msgspec.defstruct(
            "SentRow", fields, rename=spelt, kw_only=True, forbid_unknown_fields=True, gc=False
        )
        self._rows: Any = list[sent_row]  # type: ignore[valid-type]

    def accepted(self, rows: Sequence[object]) -> list[dict[str, Value]] | None:
        """The rows as the contract keeps them, in order; None: some must be looked at alone."""
        if not rows:
            return []
        try:
            sent = msgspec.convert(rows, self._rows)
        except (msgspec.ValidationError, OverflowError):
            return None
        columns: list[_Column] = list(zip(*map(astuple, sent), strict=True))
        for index in self._numbers:
            if 0.0 in columns[index]:  # the ledger writes -0.0 as 0
                columns[index] = tuple(
                    value if value is None else value + 0.0  # type: ignore[operator]
                    for value in columns[index]
                )
        for index, check in self._others:
            kept = {value: check(value) for value in set(columns[index])}
            if any(type(value) is Refusal for value in kept.values()):
                return None
            columns[index] = tuple(map(kept.__getitem__, columns[index]))  # type: ignore[arg-type]
        names = self._names
        return [dict(zip(names, row, strict=False)) for row in zip(*columns, strict=True)]


def _type_of(spec: FeatureSpec | ColumnSpec | TargetSpec) -> Any:
    if isinstance(spec, NumberFeature | TargetSpec):
        return float
    if isinstance(spec, CategoryFeature):
        return str if isinstance(spec.categories[0], str) else int
    if spec.type == "text":
        return str
    return int if spec.type == "integer" else float
