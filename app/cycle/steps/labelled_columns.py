"""Labelled rows as columns: a million of them train a candidate, and none is kept as an object.

What is looked at as a row is made from the columns then, the same as it was.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final, SupportsIndex, overload

import numpy as np

from app.projections.label_rows import LabelledRow
from domain.events.events import Row
from domain.packed import Flags, Floats, Packed, Packing, Whole, one_by_one

_AT_ONCE: Final = 1_000  # rows that are objects at a time


@dataclass(frozen=True, slots=True, eq=False)
class Rows(Sequence[Row]):
    """Rows by their columns; each row has every column, None where it lacks a value."""

    columns: Mapping[str, Packed]
    length: int

    def __len__(self) -> int:
        """Rows."""
        return self.length

    def __iter__(self) -> Iterator[Row]:
        """Each row, made anew."""
        for start in range(0, self.length, _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    @overload
    def __getitem__(self, index: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Row | list[Row]:
        """One row, or some, made anew."""
        if not isinstance(index, slice):
            at = range(self.length)[index]
            return self[at : at + 1][0]
        if not self.columns:
            return [{} for _ in range(self.length)[index]]
        values = (column[index] for column in self.columns.values())
        return [dict(zip(self.columns, row, strict=True)) for row in zip(*values, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledColumns(Sequence[LabelledRow]):
    """Labelled rows by event time and identity."""

    identities: tuple[str, ...]
    event_times: tuple[str, ...]  # one text for all rows of the same time
    labels: Floats
    places: Whole  # shape (3, rows): place, first place, how many labels were given
    rows: Rows

    def only(self, kept: Flags) -> LabelledColumns:
        """Those of the rows."""
        columns = {name: column.only(kept) for name, column in self.rows.columns.items()}
        return self._with(np.flatnonzero(kept), columns)

    def taken(self, order: Whole) -> LabelledColumns:
        """The rows in this order."""
        columns = {name: column.taken(order) for name, column in self.rows.columns.items()}
        return self._with(order, columns)

    def _with(self, rows: Whole, columns: Mapping[str, Packed]) -> LabelledColumns:
        at = rows.tolist()
        return LabelledColumns(
            tuple(self.identities[n] for n in at),
            tuple(self.event_times[n] for n in at),
            self.labels[rows],
            self.places[:, rows],
            Rows(columns, len(at)),
        )

    def column(self, name: str) -> Sequence[float | int | str | None]:
        """The values of one column, None where a row lacks it."""
        found = self.rows.columns.get(name)
        return [None] * len(self) if found is None else found

    def since(self, time: str) -> Flags:
        """Which rows have this event time or a later one."""
        return np.fromiter((each >= time for each in self.event_times), np.bool_, len(self))

    def __len__(self) -> int:
        """Rows."""
        return len(self.identities)

    def __iter__(self) -> Iterator[LabelledRow]:
        """Each row, made anew."""
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE]

    @overload
    def __getitem__(self, index: SupportsIndex) -> LabelledRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[LabelledRow]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> LabelledRow | list[LabelledRow]:
        """One row, or some, made anew."""
        if not isinstance(index, slice):
            at = range(len(self))[index]
            return self[at : at + 1][0]
        place, first, given = self.places[:, index].tolist()
        return [
            LabelledRow(
                identity=identity,
                event_time=time,
                label=label,
                row=row,
                place=at,
                first_place=first_at,
                labels=labels,
            )
            for identity, time, label, row, at, first_at, labels in zip(
                self.identities[index],
                self.event_times[index],
                one_by_one(self.labels[index]),
                self.rows[index],
                place,
                first,
                given,
                strict=True,
            )
        ]


class Gathering:
    """Labelled rows become columns, as they come."""

    def __init__(self) -> None:
        self._identities: list[str] = []
        self._times: list[str] = []
        self._same_time: dict[str, str] = {}
        self._labels = array("d")
        self._places: tuple[array[int], ...] = (array("q"), array("q"), array("q"))
        self._columns: dict[str, Packing] = {}

    def add(self, rows: Sequence[LabelledRow]) -> None:
        """Some rows more."""
        before = len(self._identities)
        for name in dict.fromkeys(name for each in rows for name in each.row):
            if name not in self._columns:
                self._columns[name] = Packing()
                self._columns[name].add_missing(before)
        for name, packing in self._columns.items():
            packing.add([each.row.get(name) for each in rows])
        for each in rows:
            self._identities.append(each.identity)
            self._times.append(self._same_time.setdefault(each.event_time, each.event_time))
            self._labels.append(each.label)
            given = (each.place, each.first_place, each.labels)
            for column, value in zip(self._places, given, strict=True):
                column.append(value)

    def whole(self) -> LabelledColumns:
        """All of them, by event time and identity; nothing is added any more."""
        places = np.stack([np.frombuffer(each, np.int64) for each in self._places])
        columns = {name: packing.packed() for name, packing in self._columns.items()}
        found = LabelledColumns(
            tuple(self._identities),
            tuple(self._times),
            np.frombuffer(self._labels, np.float64),
            places,
            Rows(columns, len(self._identities)),
        )
        rows = zip(self._times, self._identities, strict=True)
        if all(one <= following for one, following in pairwise(rows)):
            return found
        at = sorted(range(len(found)), key=self._identities.__getitem__)
        at.sort(key=self._times.__getitem__)
        return found.taken(np.array(at, np.int64))


def gathered(rows: Iterable[LabelledRow]) -> LabelledColumns:
    """These rows as columns; they are read once."""
    gathering = Gathering()
    for page in pages(rows):
        gathering.add(page)
    return gathering.whole()


def pages(rows: Iterable[LabelledRow]) -> Iterator[list[LabelledRow]]:
    """The same rows, a thousand at a time."""
    given = iter(rows)
    while page := list(islice(given, _AT_ONCE)):
        yield page
