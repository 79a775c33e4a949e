"""What differs is put right in pages: nobody waits for more than one, and the rest answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Executable, Table, delete, func, select, text, update

from app.ledger.store import Ledger
from app.projections import differing_rows
from app.projections.changes import CHANGES
from app.projections.cycles import CYCLES
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS
from domain.errors import LedgerBusy
from tests import ledger_events as events
from tests.app.behind_the_service import writing_to

PAGE = 10
MANY = 45


class Watched:
    """A ledger whose every hold of the lock is looked at, at its beginning and after its end."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.holds = 0
        self.changed: list[int] = []  # rows that came or went, by hold
        self.after: Callable[[int], None] = lambda holds: None
        self._writing = ledger.writing
        monkeypatch.setattr(ledger, "writing", self.writing)
        monkeypatch.setattr(differing_rows, "PAGE_ROWS", PAGE)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        count = select(func.count()).select_from(REFUSALS)
        with self._writing() as connection:
            before = connection.execute(count).scalar_one()
            yield connection
            self.changed.append(abs(connection.execute(count).scalar_one() - before))
        self.holds += 1
        self.after(self.holds)


@pytest.fixture
def full(ledger: Ledger) -> Ledger:
    events.put(ledger, "observations-cars", *[events.refused(n + 1) for n in range(MANY)])
    return ledger


def change(ledger: Ledger, *statements: Executable, table: Table = REFUSALS) -> None:
    with writing_to(ledger, table) as connection:
        for each in statements:
            connection.execute(each)


def refused_rows(ledger: Ledger) -> list[int]:
    with ledger.connect() as connection:
        return list(
            connection.execute(select(REFUSALS.c.rows).order_by(REFUSALS.c.position)).scalars()
        )


def test_no_hold_of_the_lock_changes_more_than_a_page_and_others_append_between(
    full: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(full, delete(REFUSALS))
    watched = Watched(full, monkeypatch)

    def append(holds: int) -> None:
        events.put(full, "observations-cars", events.refused(100))

    watched.after = append

    assert rebuild(full).differing == (REFUSALS.name,)

    assert max(watched.changed) <= PAGE
    assert sum(watched.changed) >= MANY
    assert refused_rows(full) == [*range(1, MANY + 1), *[100] * watched.holds]
    assert rebuild(full).differing == ()


def test_pages_that_are_right_take_no_lock(full: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    change(full, update(REFUSALS).where(REFUSALS.c.position == 25).values(rows=99))
    watched = Watched(full, monkeypatch)

    assert rebuild(full).differing == (REFUSALS.name,)

    assert watched.holds == 1
    assert refused_rows(full) == list(range(1, MANY + 1))


def test_rows_that_nothing_gives_go_however_many_they_are(
    full: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with full.writing() as connection:
        one = connection.execute(select(REFUSALS).limit(1)).one()._mapping
        for at in range(3 * PAGE):
            row = {**one, "position": 10_000 + at}
            connection.execute(REFUSALS.insert().values(row))
    watched = Watched(full, monkeypatch)

    rebuild(full)

    assert max(watched.changed) <= PAGE
    assert refused_rows(full) == list(range(1, MANY + 1))


def test_cut_off_it_leaves_whole_pages_right_and_the_next_one_does_the_rest(
    full: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(full, update(REFUSALS).values(rows=99))
    watched = Watched(full, monkeypatch)

    def cut_off(holds: int) -> None:
        if holds == 2:
            raise KeyboardInterrupt

    watched.after = cut_off
    with pytest.raises(KeyboardInterrupt):
        rebuild(full)
    assert refused_rows(full) == [*range(1, 2 * PAGE + 1), *[99] * (MANY - 2 * PAGE)]
    watched.after = lambda holds: None

    assert rebuild(full).differing == (REFUSALS.name,)

    assert watched.holds == 5
    assert refused_rows(full) == list(range(1, MANY + 1))


def test_a_row_may_hold_what_belongs_to_one_of_another_page(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.put(ledger, "model-cars", *[events.contract_adopted()] * MANY)
    right = select(CHANGES.c.position, CHANGES.c.id).order_by(CHANGES.c.position)
    with ledger.connect() as connection:
        ids = connection.execute(right).all()
    first, last = ids[0], ids[-1]

    def of(position: int, id: str) -> Executable:
        return update(CHANGES).where(CHANGES.c.position == position).values(id=id)

    wrong = (of(first[0], "x"), of(last[0], first[1]), of(first[0], last[1]))
    change(ledger, *wrong, table=CHANGES)
    Watched(ledger, monkeypatch)

    assert rebuild(ledger).differing == (CHANGES.name,)

    with ledger.connect() as connection:
        assert connection.execute(right).all() == ids


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_key_that_is_no_text_goes_too(full: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 2 * PAGE):
        events.put(full, f"cycle-cars-{number}", events.started(number))
    columns = ", ".join(column.name for column in CYCLES.columns if column.name != "cycle")
    copies = f"INSERT INTO {CYCLES.name} (cycle, {columns}) SELECT CAST({{}} AS BLOB), {columns} "
    change(full, text(f"{copies.format('cycle')} FROM {CYCLES.name}"))
    Watched(full, monkeypatch)

    assert rebuild(full).differing == (CYCLES.name,)
    assert rebuild(full).differing == ()


def test_who_goes_on_changing_them_is_said(full: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = update(REFUSALS).where(REFUSALS.c.position == 1).values(rows=99)
    change(full, wrong)
    watched = Watched(full, monkeypatch)

    def again(holds: int) -> None:
        with full.engine.begin() as connection:
            connection.execute(wrong)

    watched.after = again
    with pytest.raises(LedgerBusy, match="put right 3 times and differ again: somebody goes on"):
        rebuild(full)
