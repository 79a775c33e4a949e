"""Everything wrong with a contract document at once: where, what stands there, and what to do.

`domain/reported_faults.py` words what pydantic found field by field; this looks between the fields.
It reads the raw document, so that a fault in one place does not hide those in another; what
pydantic refuses it passes over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from domain.faults import Fault, shown
from domain.plain_text import BIN_LABELS, TEXT_LENGTH_MAX, composed, text_refused

_NAMES_SHOWN_MAX: Final = 50
_LENGTH_SHOWN_MAX: Final = 80  # characters; no name of a column has more
_NOT_PLAIN: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))


def cross_faults(document: object) -> Iterator[Fault]:
    """What is wrong between the fields of `document`, wherever they are sound enough to tell."""
    if not isinstance(document, Mapping):
        return
    columns = _Columns(document)
    yield from columns.repeated()
    for path, field in columns.fields():
        yield from _personal(path, field)
        yield from _plausible(path, field)
        yield from _transformers(path, field)
        yield from _categories(path, field)
        if field.get("type") == "text" and field.get("possible") is not None:
            yield Fault(f"{path}/possible", "text has no range; remove it", field["possible"])
    target = _object(document.get("target"))
    low = _bound(target, "possible", "min")
    if target.get("transform") == "log" and low is not None and low <= 0:
        yield Fault(
            "/target/possible/min",
            f"{low:.15g}: a log target must be positive; raise min above 0, or use transform none",
            low,
        )
    yield from _plausible("/target", target)
    before: set[str] = set()
    for index, name in enumerate(_list(target.get("formerly"))):
        if not isinstance(name, str):
            continue
        if name == target.get("name") or name in before:
            yield Fault(
                f"/target/formerly/{index}",
                f"{name!r} is the name it has, or stands twice; name each earlier one once",
                name,
            )
        before.add(name)
    if document.get("retraining_cost") is not None and document.get("value_of_error") is None:
        yield Fault(
            "/retraining_cost",
            "a cost without a unit: declare value_of_error, whose unit it is in, or remove it",
            document["retraining_cost"],
        )
    yield from _keys(document, columns)
    yield from _rules(document, columns)


def adoption_faults(document: object) -> Iterator[Fault]:
    """What is wrong with the categories of a document that is to be adopted.

    Apart from `cross_faults`, since what was adopted before this was asked stays readable.
    """
    if not isinstance(document, Mapping):
        return
    for path, field in _Columns(document).fields():
        seen: dict[str, str] = {}
        for index, category in enumerate(_list(field.get("categories"))):
            if not isinstance(category, str) or not _is_readable(category):
                continue
            text = composed(category)
            refused = text_refused(text)
            if text in BIN_LABELS:
                refused = "is the label of a drift bin; name the category otherwise"
            elif seen.get(text, category) != category:
                refused = f"is {seen[text]!r} in another form of Unicode; remove one"
            if refused is not None:
                place = f"{path}/categories/{index}"
                yield Fault(place, f"{shown(category)} {refused}", category)
            seen.setdefault(text, category)


class _Columns:
    """The document's columns by name, as far as they can be read."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.by_name: dict[str, Mapping[str, Any]] = {}
        for _, field in self.fields():
            if isinstance(field.get("name"), str):
                self.by_name.setdefault(field["name"], field)
        self.target = _object(document.get("target")).get("name")

    def fields(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every feature and column that is an object, with its JSON pointer."""
        for part in ("features", "columns"):
            for index, field in enumerate(_list(self._document.get(part))):
                if isinstance(field, Mapping):
                    yield f"/{part}/{index}", field

    def repeated(self) -> Iterator[Fault]:
        """Names that stand twice among target, features, columns, ignored columns; or rules."""
        seen: dict[str, str] = {}
        if isinstance(self.target, str):
            seen[self.target] = "/target"
        for part in ("features", "columns", "ignored"):
            for index, field in enumerate(_list(self._document.get(part))):
                yield from _again(seen, f"/{part}/{index}", field)
        rules: dict[str, str] = {}
        for index, rule in enumerate(_list(self._document.get("rules"))):
            yield from _again(rules, f"/rules/{index}", rule)

    @cached_property
    def known(self) -> str:
        """What a name may be, in a message, however many there are."""
        names = [*self.by_name, *([self.target] if isinstance(self.target, str) else [])]
        more = (
            f" (and {len(names) - _NAMES_SHOWN_MAX} more)" if len(names) > _NAMES_SHOWN_MAX else ""
        )
        return ", ".join(map(_short, names[:_NAMES_SHOWN_MAX])) + more


def _again(seen: dict[str, str], path: str, field: object) -> Iterator[Fault]:
    name = _object(field).get("name")
    if not isinstance(name, str):
        return
    if name in seen:
        what = "is the target" if seen[name] == "/target" else f"stands at {seen[name]} already"
        yield Fault(f"{path}/name", f"{name!r} {what}; name it once, in one place", name)
    seen.setdefault(name, path)


def _personal(path: str, field: Mapping[str, Any]) -> Iterator[Fault]:
    if field.get("personal") is True and field.get("unknown") == "accept":
        yield Fault(
            f"{path}/unknown",
            f"{field.get('name')!r} is personal: a category that is not listed would stand in "
            "plans and events, which nobody can erase; refuse unknown ones",
            "accept",
        )


def _plausible(path: str, field: Mapping[str, Any]) -> Iterator[Fault]:
    bounds = _object(field.get("plausible"))
    if "unlisted_share_max" in bounds and field.get("unknown") != "accept":
        yield Fault(
            f"{path}/plausible/unlisted_share_max",
            "only a category that accepts unknown ones has values that are not listed; remove it",
            bounds["unlisted_share_max"],
        )
    mean = _object(bounds.get("mean"))
    if not mean:
        return
    if field.get("type") == "category":
        yield Fault(
            f"{path}/plausible/mean",
            "a category has no mean; remove it",
            field["plausible"]["mean"],
        )
        return
    low, high = _bound(field, "possible", "min"), _bound(field, "possible", "max")
    if low is None or high is None or low >= high:
        return
    for end in ("min", "max"):
        value = _number(mean.get(end))
        if value is None or low <= value <= high:
            continue
        yield Fault(
            f"{path}/plausible/mean/{end}",
            f"{value:.15g} is outside the possible range {low:.15g} to {high:.15g}; a mean never "
            "gets there, move it inside",
            value,
        )


def _transformers(path: str, field: Mapping[str, Any]) -> Iterator[Fault]:
    low = _bound(field, "possible", "min")
    for index, transformer in enumerate(_list(field.get("transformers"))):
        at = f"{path}/transformers/{index}"
        named = _object(transformer)
        if "log" in (transformer, named.get("kind")) and low is not None and low <= 0:
            yield Fault(
                at,
                f"log needs a positive possible range, its min is {low:.15g}; raise it or drop log",
                transformer,
            )
        clip = _object(named.get("clip")) or (named if named.get("kind") == "clip" else {})
        below, above = _number(clip.get("low")), _number(clip.get("high"))
        if below is not None and above is not None and below >= above:
            yield Fault(
                at,
                f"clip low {below:.15g} is not below high {above:.15g}; swap them",
                transformer,
            )


def _categories(path: str, field: Mapping[str, Any]) -> Iterator[Fault]:
    listed = _list(field.get("categories"))
    if len({isinstance(category, str) for category in listed}) > 1:
        yield Fault(
            f"{path}/categories", "mixes text and integers; write all of them as one type", listed
        )
    seen = set()
    for index, category in enumerate(listed):
        if isinstance(category, str) and not _is_readable(category):
            yield Fault(
                f"{path}/categories/{index}",
                f"{shown(category)} is empty, longer than {TEXT_LENGTH_MAX} characters or holds "
                "control characters; correct it",
                category,
            )
        if isinstance(category, str | int) and category in seen:
            yield Fault(
                f"{path}/categories/{index}", f"{category!r} stands twice; remove one", category
            )
        seen.add(category if isinstance(category, str | int) else repr(category))


def _keys(document: Mapping[str, Any], columns: _Columns) -> Iterator[Fault]:
    """Identity, group and event time name columns that can bear it."""
    whole = ("integer", "text", "category")
    keys: list[tuple[str, Any, tuple[str, ...]]] = [
        (f"/identity/{index}", name, whole)
        for index, name in enumerate(_list(document.get("identity")))
    ]
    keys.append(("/group", document.get("group"), whole))
    event_time = _object(document.get("event_time"))
    reading = event_time.get("as")
    types = {"mid-year": ("integer",), "timestamp": ("text",)}.get(str(reading))
    keys.append(("/event_time/column", event_time.get("column"), types or (*whole, "number")))
    names = Counter(name for _, name, _ in keys[:-2] if isinstance(name, str))
    for path, name, allowed in keys:
        if not isinstance(name, str):
            continue
        if name == columns.target:
            yield Fault(path, f"{name!r} is the target, which predictions lack; name another", name)
        elif name not in columns.by_name:
            yield Fault(path, f"{name!r} is no column; name one of {columns.known}", name)
        else:
            field = columns.by_name[name]
            if field.get("type") not in allowed:
                yield Fault(
                    path,
                    f"{name!r} is of type {_short(field.get('type'))}; name a column of type "
                    f"{' or '.join(allowed)}",
                    name,
                )
            if field.get("missing") == "allowed":
                yield Fault(path, f"{name!r} may be missing; set its missing to refused", name)
            if field.get("personal") is True and not path.startswith("/identity"):
                yield Fault(
                    path,
                    f"{name!r} is personal: events say it in bytes that nobody can erase; name a "
                    "column that is not",
                    name,
                )
            if path == "/event_time/column" and reading == "mid-year":
                yield from _year(path, name, field)
        if path.startswith("/identity") and names[name] > 1:
            yield Fault(path, f"{name!r} stands twice; remove one", name)


def _year(path: str, name: str, field: Mapping[str, Any]) -> Iterator[Fault]:
    low, high = _bound(field, "possible", "min"), _bound(field, "possible", "max")
    if low is None or high is None or low < 1 or high > 9999:  # noqa: PLR2004 the calendar's years
        yield Fault(
            path, f"{name!r} is read as a year; give it a possible range within 1 to 9999", name
        )


def _rules(document: Mapping[str, Any], columns: _Columns) -> Iterator[Fault]:
    for index, rule in enumerate(_list(document.get("rules"))):
        for side in ("left", "right"):
            name = _object(rule).get(side)
            if not isinstance(name, str) or name == columns.target:
                continue
            path = f"/rules/{index}/{side}"
            if name not in columns.by_name:
                yield Fault(path, f"{name!r} is no column; name one of {columns.known}", name)
            elif columns.by_name[name].get("type") not in ("number", "integer"):
                yield Fault(
                    path,
                    f"{name!r} is of type {_short(columns.by_name[name].get('type'))}; rules "
                    "compare numbers, name a number or an integer",
                    name,
                )


def _short(said: object) -> str:
    """What a document says of itself, in a message that may be made for each of its fields."""
    text = said if isinstance(said, str) else shown(said)
    return text if len(text) <= _LENGTH_SHOWN_MAX else text[:_LENGTH_SHOWN_MAX] + "…"


def _is_readable(text: str) -> bool:
    """Whether a category may stand in a document that was adopted, under whatever rule then."""
    if not 1 <= len(text) <= TEXT_LENGTH_MAX:
        return False
    return _NOT_PLAIN.isdisjoint(text) and not any("\ud800" <= c <= "\udfff" for c in text)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else ()


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _bound(field: Mapping[str, Any], part: str, end: str) -> float | None:
    return _number(_object(field.get(part)).get(end))
