"""Labelled rows kept as columns are the rows that they were, in few bytes each."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cycle.steps import labelled_columns
from app.cycle.steps.labelled_columns import gathered
from app.cycle.steps.pool import as_they_are, hold_to_contract
from app.projections.label_rows import LabelledRow
from tests.domain.kettles import GUARD, ROW

VALUES = st.none() | st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from(["a", "1", "é"])
LABELLED = st.builds(
    LabelledRow,
    identity=st.text(max_size=2),
    event_time=st.sampled_from(["1971", "1972", "1973"]),
    label=st.floats(-9, 9),
    row=st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES),
    place=st.integers(0, 99),
    first_place=st.integers(0, 99),
    labels=st.integers(1, 3),
)


def said(row: LabelledRow) -> tuple[object, ...]:
    """All of it; a column that it lacks is missing in it, and an int is no float."""
    columns = [repr(row.row.get(name)) for name in "abc"]
    given_labels = (row.place, row.first_place, row.labels)
    return row.identity, row.event_time, row.label, *columns, *given_labels


@given(st.lists(LABELLED, max_size=9), st.lists(st.booleans(), min_size=9), st.integers(1, 4))
def test_rows_come_back_as_they_were_whatever_columns_came_first(
    rows: list[LabelledRow], drawn: list[bool], at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelled_columns, "_AT_ONCE", at_once)
        found = gathered(iter(rows))
        rows = sorted(rows, key=lambda row: (row.event_time, row.identity))
        assert [said(row) for row in found] == [said(row) for row in rows]
        assert len(list(found.rows)) == len(found.rows) == len(rows)
    kept = np.array(drawn[: len(rows)], np.bool_)
    some = [row for row, stays in zip(rows, drawn, strict=False) if stays]
    assert [said(row) for row in found.only(kept)] == [said(row) for row in some]
    assert [said(found[at]) for at in range(-len(rows), 0)] == [said(row) for row in rows]
    assert list(found.column("a")) == [row.row.get("a") for row in rows]
    assert list(found.column("gone")) == [None] * len(rows)
    assert found.since("1972").tolist() == [row.event_time >= "1972" for row in rows]
    assert as_they_are(rows).duplicates == sum(row.labels - 1 for row in rows)


def of_kettles(rows: int) -> Iterator[LabelledRow]:
    for number in range(rows):
        yield LabelledRow(
            identity=f"kettle={number:06d}",
            event_time="1971-07-01T00:00:00.000000Z",
            label=70.0,
            row={**ROW, "noise": 70.0},
            place=number,
            first_place=number,
            labels=1,
        )


def test_a_pool_four_times_as_large_holds_its_columns_and_no_rows() -> None:
    """Given 2,000 and 8,000 labelled rows, then what is held at most grows by 200 bytes a row: 70
    for its identity, 40 for label and places, 10 a column; a row as an object is some 1,000."""
    most = []
    for rows in (2_000, 8_000):
        tracemalloc.start()
        pool = hold_to_contract(GUARD, of_kettles(rows))
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(pool.rows) == rows
    assert most[1] - most[0] <= 300 * 6_000
