"""The rows of a batch accepted together, column by column; or none of them, and nothing said.

It accepts what the checks of a contract accept one by one, with the same values, in an eighth of
the time. What it does not accept may be good all the same (1971.0 for 1971): whoever asks judges it
row by row, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import ceil, floor
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from domain.canonical import INTEGER_MAX
from domain.contract.checks import (
    Check,
    Refusal,
    Value,
    are_texts_as_they_are,
    are_times_as_they_are,
)
from domain.contract.contract import (
    CategoryFeature,
    ColumnSpec,
    Contract,
    FeatureSpec,
    NumberFeature,
    Range,
    TargetSpec,
)
from domain.events.events import RowColumns

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
        self._kinds: dict[str, Any] = {}
        self._optional: dict[str, int] = {}  # columns that a row need not have, and where they are
        self._ignored = frozenset(column.name for column in contract.ignored)
        # Columns that are not held by their type alone, and what says that all stay as they are.
        self._others: list[tuple[int, Check, Callable[[Collection[Value]], bool] | None]] = []
        self._numbers: list[int] = []
        stamped = contract.event_time.read_as == "timestamp"
        for index, (name, check) in enumerate(checks.items()):
            spec = specs[name]
            kind = _type_of(spec)
            if kind is float:
                self._numbers.append(index)
                possible = getattr(spec, "possible", None) or _ANY
                kind = Annotated[float, Meta(ge=possible.min, le=possible.max)]
            elif kind is int and isinstance(spec, ColumnSpec):
                possible = spec.possible or _ANY
                kind = Annotated[int, Meta(ge=ceil(possible.min), le=floor(possible.max))]
            else:
                stamp = stamped and name == contract.event_time.column
                plain = are_times_as_they_are if stamp else are_texts_as_they_are
                self._others.append((index, check, plain if isinstance(spec, ColumnSpec) else None))
            missing = not isinstance(spec, TargetSpec) and spec.missing == "allowed"
            if missing:
                self._optional[name] = index
                kind |= None
            self._kinds[name] = list[kind]  # type: ignore[valid-type]
            field = (f"c{index}", kind | UnsetType, UNSET) if missing else (f"c{index}", kind)
            fields.append(field)
        for index in range(len(contract.ignored)):
            fields.append((f"i{index}", Any, UNSET))
        spelt = {f"c{index}": name for index, name in enumerate(self._names)}
        spelt |= {f"i{index}": column.name for index, column in enumerate(contract.ignored)}
        sent_row = msgspec.defstruct(
            "SentRow", fields, rename=spelt, kw_only=True, forbid_unknown_fields=True, gc=False
        )
        self._rows: Any = list[sent_row]  # type: ignore[valid-type]
        self._reader = msgspec.json.Decoder(self._rows)

    def accepted(self, rows: Sequence[object]) -> RowColumns | None:
        """The rows as the contract keeps them, by columns; None: some must be looked at alone."""
        if not rows:
            return {name: [] for name in self._names}
        try:
            sent = msgspec.convert(rows, self._rows)
        except (msgspec.ValidationError, OverflowError):
            return None
        columns: list[Sequence[Any]] = [*zip(*map(astuple, sent), strict=True)]
        return self._checked(self._filled(columns[: len(self._names)])[0])

    def read(self, content: bytes) -> tuple[RowColumns, int] | None:
        """As `accepted`, of rows as a JSON array, and how many names they must have in it.

        Where it has more, one stands twice in a row, which nobody can see any more. None: they must
        be read with care, and looked at alone.
        """
        try:
            sent = self._reader.decode(content)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        columns: list[Sequence[Any]] = [*zip(*map(astuple, sent), strict=True)]
        ignored = columns[len(self._names) :]
        if not sent or any(column.count(UNSET) < len(sent) for column in ignored):
            return None  # whatever stands there
        filled, absent = self._filled(columns[: len(self._names)])
        accepted = self._checked(filled)
        return None if accepted is None else (accepted, len(sent) * len(filled) - absent)

    def _filled(self, columns: list[Sequence[Any]]) -> tuple[list[Sequence[Value]], int]:
        """The columns with None for what was not sent, and how many such values there are."""
        absent = 0
        for index in self._optional.values():
            missing = columns[index].count(UNSET)
            if missing:
                absent += missing
                columns[index] = [None if value is UNSET else value for value in columns[index]]
        return columns, absent

    def accepted_columns(
        self, given: Mapping[str, Sequence[object]], rows: int
    ) -> RowColumns | None:
        """As `accepted`, of so many rows that are given by columns."""
        if not self._ignored.union(self._names).issuperset(given):
            return None
        columns: list[Sequence[Value]] = []
        for name, kind in self._kinds.items():
            if name in given:
                try:
                    columns.append(msgspec.convert(given[name], kind))
                except (msgspec.ValidationError, OverflowError):
                    return None
            elif name in self._optional:
                columns.append([None] * rows)
            else:
                return None
        return self._checked(columns)

    def accepted_of_some(self, given: Mapping[str, Sequence[object]]) -> RowColumns | None:
        """Some columns alone, of which none may lack a value, as the contract keeps them; None: as
        `accepted`."""
        columns: list[Sequence[Value]] = []
        for name, kind in self._kinds.items():
            try:
                columns.append(msgspec.convert(given[name], kind) if name in given else ())
            except (msgspec.ValidationError, OverflowError):
                return None
        kept = self._checked(columns)
        return None if kept is None else {name: kept[name] for name in given}

    def _checked(self, columns: list[Sequence[Value]]) -> RowColumns | None:
        """The columns, whose values are of their kinds, as the contract keeps them; None: some
        value is refused."""
        for index in self._numbers:
            if 0.0 in columns[index]:  # the ledger writes -0.0 as 0
                columns[index] = [
                    value if value is None else value + 0.0  # type: ignore[operator]
                    for value in columns[index]
                ]
        for index, check, stay in self._others:
            values = set(columns[index])
            if stay is not None and stay(values):
                continue
            kept = {value: check(value) for value in values}
            if any(type(value) is Refusal for value in kept.values()):
                return None
            columns[index] = [*map(kept.__getitem__, columns[index])]  # type: ignore[list-item]
        return dict(zip(self._names, columns, strict=True))


def _type_of(spec: FeatureSpec | ColumnSpec | TargetSpec) -> Any:
    if isinstance(spec, NumberFeature | TargetSpec):
        return float
    if isinstance(spec, CategoryFeature):
        return str if isinstance(spec.categories[0], str) else int
    if spec.type == "text":
        return str
    return int if spec.type == "integer" else float
