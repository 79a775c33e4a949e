"""In what order rows enter the evidence, whenever their labels come."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from domain.residuals import front as front_of
from domain.residuals.front import Served

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    identity: str
    event_time: str
    residual: float | None


@dataclass(frozen=True)
class Found:
    entered: list[Row]
    front: str | None
    skipped: int
    waiting: int


def row(day: int, residual: float | None = 0.5, name: str = "") -> Row:
    return Row(name or f"row={day}", f"2026-01-{day:02d}", residual)


def settle(
    rows: list[Row], *, entered: frozenset[str], front: str | None, overdue_before: str
) -> Found:
    """What enters of these rows, which are looked at twice, in order of time and identity."""
    ordered = sorted(rows, key=lambda each: (each.event_time, each.identity))
    served = [
        Served(each.event_time, each.residual is not None, each.identity in entered)
        for each in ordered
    ]
    found = front_of.settle(iter(served), front=front, overdue_before=overdue_before)
    entering = [each for each, said in zip(ordered, served, strict=True) if found.enters(said)]
    assert found.entering == len(entering)
    return Found(entering, found.front, found.skipped, found.waiting)


def test_rows_enter_by_time_and_identity() -> None:
    rows = [row(2), row(1, name="b"), row(1, name="a")]
    found = settle(rows, entered=NOTHING, front=None, overdue_before="2026-01-01")
    assert [each.identity for each in found.entered] == ["a", "b", "row=2"]
    assert (found.front, found.skipped) == ("2026-01-02", 0)


def test_an_unlabelled_row_holds_back_all_that_are_not_earlier() -> None:
    rows = [row(1), row(2), row(2, None, name="unlabelled"), row(3)]
    found = settle(rows, entered=NOTHING, front=None, overdue_before="2026-01-02")
    assert [each.identity for each in found.entered] == ["row=1"]
    assert found.front == "2026-01-01"


def test_a_row_that_is_overdue_is_skipped_for_good() -> None:
    rows = [row(1), row(2, None, name="late"), row(3)]
    first = settle(rows, entered=NOTHING, front=None, overdue_before="2026-01-03")
    assert [each.identity for each in first.entered] == ["row=1", "row=3"]
    assert first.skipped == 1
    labelled_at_last = [row(1), row(2, 7.0, name="late"), row(3)]
    again = settle(
        labelled_at_last,
        entered=frozenset({"row=1", "row=3"}),
        front=first.front,
        overdue_before="2026-01-09",
    )
    assert (again.entered, again.skipped, again.front) == ([], 1, first.front)


def test_a_row_that_comes_behind_the_front_is_counted_as_skipped() -> None:
    found = settle(
        [row(1), row(2), row(3)],
        entered=frozenset({"row=2"}),
        front="2026-01-02",
        overdue_before="2026-01-01",
    )
    assert [each.identity for each in found.entered] == ["row=3"]
    assert found.skipped == 1


def test_a_row_that_has_entered_and_is_asked_about_again_does_not_enter_again() -> None:
    """Given a row that entered, when it is asked about again at a later time, then the front goes
    past it and over a row beside it, and nothing is counted of it."""
    once = settle([row(1, name="a")], entered=NOTHING, front=None, overdue_before="2026-01-01")
    later = [row(9, name="a"), row(9, name="b")]
    again = settle(later, entered=frozenset({"a"}), front=once.front, overdue_before="2026-01-01")
    assert [each.identity for each in again.entered] == ["b"]
    assert (again.front, again.skipped) == ("2026-01-09", 0)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.booleans()), max_size=8),
    st.none() | st.integers(1, 6),
    st.integers(1, 7),
)
def test_no_row_enters_twice_and_none_is_skipped_less_than_not_at_all(
    drawn: list[tuple[int, bool, bool]], front: int | None, overdue: int
) -> None:
    rows = [
        row(day, 1.0 if labelled or before else None, name=str(n))
        for n, (day, labelled, before) in enumerate(drawn)
    ]
    entered = frozenset(str(n) for n, (_, _, before) in enumerate(drawn) if before)
    found = settle(
        rows,
        entered=entered,
        front=None if front is None else f"2026-01-{front:02d}",
        overdue_before=f"2026-01-{overdue:02d}",
    )
    new = {each.identity for each in found.entered}
    assert not new & entered
    waiting = [
        each
        for each in rows
        if each.identity not in entered and (found.front is None or each.event_time > found.front)
    ]
    assert found.waiting == len(waiting)
    assert found.skipped == len(rows) - len(entered) - len(new) - len(waiting) >= 0


@given(
    st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=8),
    st.integers(1, 7),
)
def test_each_row_has_entered_was_skipped_or_waits(
    drawn: list[tuple[int, bool]], overdue: int
) -> None:
    rows = [
        row(day, 1.0 if labelled else None, name=str(n)) for n, (day, labelled) in enumerate(drawn)
    ]
    found = settle(rows, entered=NOTHING, front=None, overdue_before=f"2026-01-{overdue:02d}")
    assert len(found.entered) + found.skipped + found.waiting == len(rows)
    assert all(each.residual is not None for each in found.entered)
