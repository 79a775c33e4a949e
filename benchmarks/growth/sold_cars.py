"""Rows to ask about: drawn from the shipped cars, each with an identity and a time of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count, islice
from typing import Any, Final

from app.intake.documents import parse_document
from benchmarks.cars import DATA, MODEL
from domain.contract.contract import parse_contract
from domain.contract.rows import RowGuard
from domain.events.events import Row
from domain.times import format_time

YEAR: Final = 1991  # of the window that every cycle judges; the training rows end in 1990
AFTER: Final = 2000  # of rows that measuring adds: no window reaches them
_DAYS: Final = 330  # of a year, over which its rows are spread
_STEP_SECONDS: Final = 7_919  # prime, so that rows come in no order of time
_STEP_ROWS: Final = 1_009  # prime, so that any stretch of numbers holds cars of all years


@dataclass(frozen=True, slots=True)
class Asked:
    """A row to ask about, as a client sends it, and what is sold of that car."""

    row: dict[str, Any]
    units: float


class Cars:
    """Rows drawn from the shipped cars, each with an identity and a time of its own."""

    @cached_property
    def document(self) -> bytes:
        """The shipped contract, but that a car is sold at a time: years know one day alone."""
        text = (DATA / "contracts" / f"{MODEL}.yaml").read_text(encoding="utf-8")
        column = "  - {name: sold_at, type: text, meaning: when the car was first sold}\n"
        text = text.replace("\ncolumns:\n", f"\ncolumns:\n{column}")
        year = "{column: year, as: mid-year}"
        return text.replace(year, "{column: sold_at, as: timestamp}").encode()

    @cached_property
    def guard(self) -> RowGuard:
        """What holds rows to that contract."""
        return RowGuard(parse_contract(parse_document(self.document, name=MODEL)))

    @property
    def target(self) -> str:
        """The column of the label."""
        return self.guard.contract.target.name

    @cached_property
    def shipped(self) -> list[Row]:
        """The shipped rows, labelled."""
        with (DATA / "us_cars_1971_1990.csv").open(newline="") as file:
            return [
                self._labelled({**row, "sold_at": f"{row['year']}-07-01T00:00:00Z"})
                for row in csv.DictReader(file)
            ]

    def _labelled(self, cells: dict[str, str]) -> Row:
        return self.guard.check_row(self.guard.parse_csv_row(cells), labelled=True)

    def as_csv(self, rows: Sequence[Asked]) -> bytes:
        """Those rows as a CSV with their labels."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*rows[0].row, self.target])
        writer.writerows([*each.row.values(), each.units] for each in rows)
        return text.getvalue().encode()

    def training(self) -> list[Asked]:
        """The shipped rows."""
        return [self._asked(row) for row in self.shipped]

    def drawn(self, number: int, year: int = YEAR) -> Asked:
        """The row with this number: another car for each, the same for the same."""
        like = self.shipped[self.like(number)]
        sold = datetime(year, 1, 1, tzinfo=UTC) + timedelta(
            seconds=number * _STEP_SECONDS % (_DAYS * 86_400)
        )
        changed: Row = {"sold_at": format_time(sold), "year": year, "car_id": number}
        return self._asked(like | changed)

    def like(self, number: int) -> int:
        """Which of the shipped rows that one is drawn from."""
        return number * _STEP_ROWS % len(self.shipped)

    def _asked(self, labelled: Row) -> Asked:
        row = {name: value for name, value in labelled.items() if name != self.target}
        return Asked(row, float(str(labelled[self.target])))


@dataclass(slots=True)
class Rows:
    """Rows that no ledger has seen, and that stand in no window."""

    cars: Cars
    _numbers: Iterator[int] = field(default_factory=count)

    def take(self, rows: int) -> list[Asked]:
        """So many more."""
        return [self.cars.drawn(number, AFTER) for number in islice(self._numbers, rows)]
