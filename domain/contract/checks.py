"""One check a column, compiled from the contract: the value a row may keep, or why it may not.

A check takes whatever a client sent and gives back the accepted value, or a `Refusal`. Numbers
become floats and integers integers, whichever way JSON wrote them, so that a row equals itself read
from the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isfinite
from operator import eq, ge, gt, le, lt, ne
from typing import Final, NamedTuple

from domain.canonical import INTEGER_MAX
from domain.contract.contract import (
    CategoryFeature,
    ColumnSpec,
    Contract,
    NumberFeature,
    Range,
    RowRule,
)
from domain.errors import RequestInvalid
from domain.faults import shown
from domain.plain_text import BIN_LABELS, TEXT_LENGTH_MAX, composed, text_refused
from domain.times import are_normal_times, normalise_time


class Refusal(NamedTuple):
    """Why a value may not stay: the reason as it is counted, and the sentence for who sent it."""

    reason: str
    message: str


Value = float | int | str | None
Check = Callable[[object], Value | Refusal]

_MISSING: Final = Refusal("missing", "is missing and the contract refuses that; send it")
_LABEL: Final = "is the label of a drift bin, which no category may have; send another, or null"
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "==": eq,
    "!=": ne,
}


def column_checks(contract: Contract) -> dict[str, Check]:
    """The check of every feature and other column, by name, in the contract's order."""
    checks: dict[str, Check] = {}
    for feature in contract.features:
        missing = feature.missing == "allowed"
        checks[feature.name] = (
            _number(feature.possible, feature.unit, missing)
            if isinstance(feature, NumberFeature)
            else _category(feature, missing)
        )
    for column in contract.columns:
        stamp = contract.event_time.read_as == "timestamp"
        if stamp and contract.event_time.column == column.name:
            checks[column.name] = _timestamp
        else:
            checks[column.name] = _column(column)
    return checks


def target_check(contract: Contract) -> Check:
    """The check of a label."""
    return _number(contract.target.possible, contract.target.unit, missing=False)


def _column(column: ColumnSpec) -> Check:
    missing = column.missing == "allowed"
    if column.type == "text":
        return _text(missing)
    possible = column.possible or Range(min=-INTEGER_MAX, max=INTEGER_MAX)
    check = _integer if column.type == "integer" else _number
    return check(possible, column.unit, missing)


def _number(possible: Range, unit: str, missing: bool) -> Check:
    low, high = possible.min, possible.max
    measure = "" if unit == "1" else f" ({unit})"

    def check(value: object) -> Value | Refusal:
        if type(value) is float or type(value) is int:
            if low <= value <= high:
                return float(value) + 0.0  # + 0.0: the ledger writes -0.0 as 0
            if type(value) is float and not isfinite(value):
                return Refusal("not finite", f"is {value}; send a finite number")
            return _out_of_range(value, low, high, measure)
        if value is None:
            return None if missing else _MISSING
        return _wrong_type(value, "a number")

    return check


def _integer(possible: Range, unit: str, missing: bool) -> Check:
    low, high = possible.min, possible.max
    measure = "" if unit == "1" else f" ({unit})"

    def check(value: object) -> Value | Refusal:
        if type(value) is float and value.is_integer():
            value = int(value)  # JSON writes 1971 and 1971.0 for the same number
        if type(value) is int:
            return value if low <= value <= high else _out_of_range(value, low, high, measure)
        if value is None:
            return None if missing else _MISSING
        return _wrong_type(value, "an integer")

    return check


def _text(missing: bool) -> Check:
    def check(value: object) -> Value | Refusal:
        if type(value) is str:
            value = composed(value)
            refused = text_refused(value)
            return value if refused is None else _bad_text(value, refused)
        if value is None:
            return None if missing else _MISSING
        return _wrong_type(value, "text")

    return check


def _category(feature: CategoryFeature, missing: bool) -> Check:
    known: dict[object, str | int] = {}
    for category in feature.categories:  # sent in any form, kept as the contract writes it
        known.setdefault(composed(category) if isinstance(category, str) else category, category)
    text = isinstance(feature.categories[0], str)
    accept = feature.unknown == "accept"
    kind, name = (str, "text") if text else (int, "an integer")

    def check(value: object) -> Value | Refusal:
        if not text and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is kind:
            if value in known:
                return known[value]
            if isinstance(value, str):
                value = composed(value)
                refused = _LABEL if value in BIN_LABELS else text_refused(value)
                if value in known or refused is not None:
                    return known.get(value) or _bad_text(value, str(refused))
            if isinstance(value, int) and not -INTEGER_MAX <= value <= INTEGER_MAX:
                return _out_of_range(value, -INTEGER_MAX, INTEGER_MAX, "")
            if accept and isinstance(value, str | int):
                return value
            return Refusal("unknown category", _unknown_category(value, feature.categories))
        if value is None:
            return None if missing else _MISSING
        return _wrong_type(value, name)

    return check


def are_texts_as_they_are(values: Collection[Value]) -> bool:
    """Whether the check of a text keeps each of these as it is: plain ones, and null. For many."""
    texts = [value for value in values if isinstance(value, str)]
    together = "".join(texts)
    return (
        together.isascii()
        and together.isprintable()
        and all(1 <= len(text) <= TEXT_LENGTH_MAX for text in texts)
    )


def are_times_as_they_are(values: Collection[Value]) -> bool:
    """The same of the check of a timestamp, which takes no null."""
    texts = [value for value in values if isinstance(value, str)]
    return len(texts) == len(values) and are_normal_times(texts)


def _timestamp(value: object) -> Value | Refusal:
    if type(value) is str:
        try:
            return normalise_time(value)
        except RequestInvalid as refused:
            return Refusal("not a time", f"is no time: {refused.message}")
    return _MISSING if value is None else _wrong_type(value, "text")


class CompiledRule:
    """A rule between columns, or a column and a number."""

    def __init__(self, rule: RowRule) -> None:
        self.rule = rule
        self._compare = _OPERATORS[rule.op]

    def judge(self, row: dict[str, Value]) -> Refusal | None:
        """Why `row` breaks the rule; None when it holds, or when either side is missing."""
        rule = self.rule
        left = row.get(rule.left)
        right = row.get(rule.right) if isinstance(rule.right, str) else rule.right
        if left is None or right is None or isinstance(left, str) or isinstance(right, str):
            return None
        if self._compare(left, right):
            return None
        against = f"{rule.right} {_plain(right)}" if isinstance(rule.right, str) else _plain(right)
        return Refusal(
            f"breaks {rule.name}",
            f"is {_plain(left)}, which is not {rule.op} {against} as rule {rule.name!r} asks "
            f"({rule.because}); correct either",
        )


def _plain(number: float) -> str:
    """A whole number without its `.0`, any other as Python writes it."""
    return str(int(number)) if number == int(number) else repr(number)


def _out_of_range(value: float, low: float, high: float, measure: str) -> Refusal:
    return Refusal(
        "out of range",
        f"is {shown(value)}, outside the possible range {_plain(low)} to {_plain(high)}{measure}; "
        "check its unit",
    )


def _wrong_type(value: object, wanted: str) -> Refusal:
    return Refusal(f"not {wanted}", f"is {shown(value)}, not {wanted}; send {wanted}")


def _bad_text(value: str, refused: str) -> Refusal:
    return Refusal("bad text", f"is {shown(value)}: it {refused}")


def _unknown_category(value: object, categories: tuple[str | int, ...]) -> str:
    listed = ", ".join(map(str, categories[:20])) + (", …" if len(categories) > 20 else "")  # noqa: PLR2004
    return f"is {shown(value)}, not one of {listed}; the contract refuses unknown categories"
