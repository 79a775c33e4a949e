"""The training pool: the labelled rows as the contract of the cycle keeps them.

A row was held to the contract of its day. Those that break the one in force never train: a range
that was narrowed, a category that was refused, or a feature that became required would otherwise
come back through old rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, cast

from app.cycle.steps.labelled_columns import Gathering, LabelledColumns, gathered, pages
from app.projections.label_rows import LabelledRow
from domain.contract.rows import RowGuard
from domain.events.events import Row

_REASONS_SHOWN_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Pool:
    """What may train and judge, and what may not."""

    rows: LabelledColumns  # with the columns of the contract in force
    left_out: dict[str, int]  # first reason of a row -> rows
    duplicates: int  # earlier labels that a later one of the same row replaced, left out or not

    @property
    def left_out_rows(self) -> int:
        """Rows that break the contract in force."""
        return sum(self.left_out.values())

    @property
    def left_out_share(self) -> float | None:
        """Of all labelled rows; None without any."""
        rows = len(self.rows) + self.left_out_rows
        return self.left_out_rows / rows if rows else None

    @property
    def reasons(self) -> str:
        """`hpwt: out of range 12, air: missing 3`, the most frequent first."""
        most = Counter(self.left_out).most_common(_REASONS_SHOWN_MAX)
        more = ", …" if len(self.left_out) > len(most) else ""
        return ", ".join(f"{reason} {rows:,}" for reason, rows in most) + more


def as_they_are(labelled: Iterable[LabelledRow]) -> Pool:
    """The pool by the first form of the rule `merge`, which held rows to no later contract."""
    rows = gathered(labelled)
    return Pool(rows, {}, _duplicates(rows.places[2].tolist()))


def hold_to_contract(guard: RowGuard, labelled: Iterable[LabelledRow]) -> Pool:
    """Hold rows of any time to the guard's contract; they are read once.

    Columns that the contract no longer has are dropped; what it asks for and a row lacks is
    missing. A label stands under the target's name, or a name it had formerly.
    """
    columns, target = guard.contract.row_columns, guard.contract.target
    names = (target.name, *target.formerly)
    gathering, duplicates = Gathering(), 0
    left_out: list[tuple[str, str, str]] = []  # event time and identity of a row, and its reason
    for page in pages(labelled):
        asked: list[Row] = []
        for each in page:
            row: Row = {name: each.row.get(name) for name in columns}
            label = next((each.row[name] for name in names if each.row.get(name) is not None), None)
            asked.append(row | {target.name: label})
        judged = guard.judge_rows(asked, labelled=True)
        kept = (each for index, each in enumerate(page) if index not in judged.refused)
        gathering.add(
            [
                replace(each, row=row, label=cast("float", row[target.name]))
                for each, row in zip(kept, judged.accepted, strict=True)
            ]
        )
        left_out += (
            (page[index].event_time, page[index].identity, reason)
            for index, reason in judged.refused.items()
        )
        duplicates += _duplicates(each.labels for each in page)
    reasons = Counter(reason for _, _, reason in sorted(left_out))
    return Pool(gathering.whole(), dict(reasons), duplicates)


def _duplicates(given: Iterable[int]) -> int:
    return sum(labels - 1 for labels in given)
