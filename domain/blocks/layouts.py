"""What a line holds, and the plain event it stands for: one layout for each type and schema.

A layout stays for ever. A line that is laid out otherwise is a new schema of the block's event; a
plain event that has changed is another `row_schema`, and is brought up to date as it always is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from domain.blocks.ids import identities_of, ids_of_rows, source_event_id
from domain.canonical import INTEGER_MAX, canonical_bytes
from domain.errors import NotCanonical
from domain.times import are_normal_times, mid_year

Shared = Mapping[str, Any]  # the data of a block's envelope, as JSON values
Line = Sequence[Any]  # a row's JSON array
YEAR_MAX: Final = 9999


class PlainRow(NamedTuple):
    """The plain event of one row, as JSON values."""

    id: str
    occurred_at: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the lines of one type and schema are read."""

    plain: str  # the type of the plain event that each row is
    # Where identity and event time stand in the line. None: the row's values stand at its end, by
    # `columns`, and both follow from them.
    named_at: tuple[int, int] | None
    fixed: tuple[Callable[[Any, Shared], bool], ...]  # what stands before them; whether it may
    kinds: Callable[[Shared], tuple[Any, ...]]  # the types of the same, for who reads many at once
    ids: Callable[[str, Sequence[int], Shared, Sequence[Line]], list[str]]  # (id of the entry, …)
    data: Callable[[Shared, Line, str], dict[str, Any]]  # (…, identity)

    @property
    def has_columns(self) -> bool:
        """Whether a line ends with the values of a row."""
        return self.named_at is None

    def line_fault(self, shared: Shared, line: bytes) -> str | None:
        """Why a line that is there (`[`) is none of this layout, in words; None: it is.

        `shared` is one that `shared_fault` finds nothing in.
        """
        try:
            values = orjson.loads(line)
        except ValueError:
            return "no JSON"
        length = len(self.fixed) + (len(shared["columns"]) if self.has_columns else 0)
        if len(values) != length:
            return f"{len(values)} values, not {length}"
        for at, (value, may) in enumerate(zip(values, self.fixed, strict=False)):
            if not may(value, shared):
                return f"another kind of value at {at}"
        for at in range(len(self.fixed), length):
            if not _is_cell(values[at]):
                return f"another kind of value at {at}"
        if self.has_columns:
            return _row_fault(shared, _row(self, shared, values))
        return None

    def identity_in(self, shared: Shared, line: bytes) -> str:
        """The identity that the row in a line is about, without the rest of its plain event.

        Of a line that `line_fault` finds nothing in.
        """
        return self.identities(shared, [orjson.loads(line)])[0]

    def plain_row(self, first: str, row: int, shared: Shared, line: bytes) -> PlainRow:
        """The plain event that row `row` of the entry with the id `first` is.

        Of a line that `line_fault` finds nothing in.
        """
        return self.plain_of(first, row, shared, orjson.loads(line))

    def plain_of(self, first: str, row: int, shared: Shared, values: Line) -> PlainRow:
        """As `plain_row`, of the values of such a line."""
        (found,) = self.plain_rows(first, (row,), shared, (values,))
        return found

    def plain_rows(
        self, first: str, rows: Sequence[int], shared: Shared, values: Sequence[Line]
    ) -> Iterator[PlainRow]:
        """`plain_of` some rows, together."""
        ids, times = self.ids(first, rows, shared, values), self.times(shared, values)
        identities = self.identities(shared, values)
        for id, time, line, identity in zip(ids, times, values, identities, strict=True):
            yield PlainRow(id, time, self.data(shared, line, identity))

    def identities(self, shared: Shared, values: Sequence[Line]) -> list[str]:
        """The identity that each row is about."""
        if self.named_at is not None:
            return [str(line[self.named_at[0]]) for line in values]
        at = dict(self._columns_at(shared, shared["identity"]))
        columns = {name: [line[at[name]] for line in values] for name in at}
        return identities_of(shared["identity"], columns)

    def times(self, shared: Shared, values: Sequence[Line]) -> list[str]:
        """The event time of each row."""
        if self.named_at is not None:
            return [str(line[self.named_at[1]]) for line in values]
        time = shared["event_time"]
        ((_, at),) = self._columns_at(shared, [time["column"]])
        if time["read_as"] != "mid-year":
            return [str(line[at]) for line in values]
        years = {line[at] for line in values}
        named = {year: mid_year(year) for year in years}
        return [named[line[at]] for line in values]

    def _columns_at(self, shared: Shared, names: Sequence[str]) -> list[tuple[str, int]]:
        """Where in a line these columns stand."""
        columns: Sequence[str] = shared["columns"]
        return [(name, len(self.fixed) + columns.index(name)) for name in names]


def is_canonical(line: bytes) -> bool:
    """Whether a line is the one that RFC 8785 writes for its value: `1`, never `1.0`."""
    try:
        return canonical_bytes(orjson.loads(line)) == line
    except (ValueError, NotCanonical):
        return False


def shared_fault(layout: Layout, shared: Shared) -> str | None:
    """Why what the rows share does not fit together, in words; None: it does."""
    if not layout.has_columns:
        return None
    columns: Sequence[str] = shared["columns"]
    if [*columns] != in_canonical_order(set(columns)):
        return "columns that do not ascend"
    needed = [*shared["identity"], shared["event_time"]["column"]]
    missing = [name for name in needed if name not in columns]
    return f"no column {missing[0][:60]!r}, which it names" if missing else None


def in_canonical_order(names: Iterable[str]) -> list[str]:
    """The names as RFC 8785 sorts those of an object: by their UTF-16 code units.

    >>> in_canonical_order(("\ufb33", "\U0001f600", "a"))
    ['a', '\U0001f600', '\ufb33']
    """
    return sorted(names, key=_utf_16)


def _utf_16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _row(layout: Layout, shared: Shared, values: Line) -> dict[str, Any]:
    return dict(zip(shared["columns"], values[len(layout.fixed) :], strict=True))


def _row_fault(shared: Shared, row: Mapping[str, Any]) -> str | None:
    for name in shared["identity"]:
        if type(row[name]) not in (str, int):
            return f"no value of the identity in {name[:60]!r}"
    time = shared["event_time"]
    value = row[time["column"]]
    if time["read_as"] == "mid-year":
        fits = type(value) is int and 1 <= value <= YEAR_MAX
    else:
        fits = is_time(value, shared)
    return None if fits else f"no event time in {time['column'][:60]!r}"


def _is_number(value: Any, _shared: Shared) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any, _shared: Shared) -> bool:
    return type(value) is str


def is_time(value: Any, _shared: Shared) -> bool:
    """A time in our one form, and one that there is."""
    return type(value) is str and are_normal_times((value,))


def _is_texts(value: Any, _shared: Shared) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _is_source(value: Any, shared: Shared) -> bool:
    """Either all rows have one source, or each has its own."""
    return type(value) is str if shared["source"] is None else value is None


def _is_cell(value: Any) -> bool:
    """A value that a plain event's row may hold."""
    if type(value) is int:
        return -INTEGER_MAX <= value <= INTEGER_MAX
    return type(value) in (str, float, type(None))


def _of_source_kind(shared: Shared) -> Any:
    return str if shared["source"] is None else None


def _source(shared: Shared, line: Line) -> str:
    source = shared["source"] if line[1] is None else line[1]
    return str(source)


def _made_from_1(shared: Shared, line: Line, identity: str) -> dict[str, Any]:
    return {
        "model": shared["model"],
        "model_version": shared["model_version"],
        "plan_sha256": shared["plan_sha256"],
        "request_id": shared["request_id"],
        "identity": identity,
        "row": _row(_MADE, shared, line),
        "prediction": line[0],
        "unknown_categories": line[1],
    }


def _observed_from_1(shared: Shared, line: Line, identity: str) -> dict[str, Any]:
    return {
        "model": shared["model"],
        "source": _source(shared, line),
        "source_id": line[0],
        "identity": identity,
        "row": _row(_OBSERVED, shared, line),
        "extensions": {},
    }


def _outcome_from_1(shared: Shared, line: Line, identity: str) -> dict[str, Any]:
    return {
        "model": shared["model"],
        "source": _source(shared, line),
        "source_id": line[0],
        "prediction_id": line[2],
        "identity": identity,
        "label": line[4],
        "extensions": {},
    }


def _counted(
    first: str, rows: Sequence[int], _shared: Shared, _values: Sequence[Line]
) -> list[str]:
    return ids_of_rows(first, rows)


def _of_source(
    _first: str, _rows: Sequence[int], shared: Shared, values: Sequence[Line]
) -> list[str]:
    return [source_event_id(_source(shared, line), line[0]) for line in values]


_MADE: Final[Layout] = Layout(
    plain="predictions.prediction-made",
    named_at=None,
    fixed=(_is_number, _is_texts),
    kinds=lambda _: (float, tuple[str, ...]),
    ids=_counted,
    data=_made_from_1,
)
_OBSERVED: Final[Layout] = Layout(
    plain="observations.observation-recorded",
    named_at=None,
    fixed=(_is_text, _is_source),
    kinds=lambda shared: (str, _of_source_kind(shared)),
    ids=_of_source,
    data=_observed_from_1,
)
_OUTCOME: Final = Layout(
    plain="observations.outcome-recorded",
    named_at=(3, 5),
    fixed=(_is_text, _is_source, _is_text, _is_text, _is_number, is_time),
    kinds=lambda shared: (str, _of_source_kind(shared), str, str, float, str),
    ids=_of_source,
    data=_outcome_from_1,
)

# By (type, schema) of the block's event, those that are written no more included.
LAYOUTS: Final[Mapping[tuple[str, int], Layout]] = {
    ("predictions.predictions-made", 1): _MADE,
    ("observations.observations-recorded", 1): _OBSERVED,
    ("observations.outcomes-recorded", 1): _OUTCOME,
}
