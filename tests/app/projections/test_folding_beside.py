"""A new number is folded beside those who append: nobody waits for more than a page of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import pytest
from sqlalchemy import Connection, MetaData, func, select, text

from app.database.engine import insert_rows
from app.ledger.past import Past
from app.ledger.store import Ledger
from app.projections.keeping import Keeping
from app.projections.opening import open_ledger
from app.projections.positions import positions_of
from app.projections.read_model import METADATA, ReadModel, table_of
from app.projections.rebuild import rebuild
from app.projections.refusals import REFUSALS
from app.projections.runner import WITH_THE_LEDGER
from app.settings import Settings
from domain.events.envelope import Recorded
from domain.events.events import PredictionMade, RowsRefused
from tests import ledger_events as events
from tests.app.many_rows import predictions, put_many

PAGE = 10
MANY = 95


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRows:
    """What a later version might keep of a refusal."""

    position: int
    rows: int


LATER = table_of(
    RefusedRows, "refusals", number=3, key="position", metadata=MetaData(schema=METADATA.schema)
)
Look = Callable[[Connection, Sequence[Recorded]], None]


def keeping(look: Look = lambda connection, entries: None) -> Keeping:
    """What the later version keeps; `look` is told of what it folds."""

    def apply(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
        look(connection, entries)
        rows = [(each.position, cast(RowsRefused, each.event).rows) for each in entries]
        insert_rows(connection, LATER, rows)

    kept = [each for each in WITH_THE_LEDGER if each.table is not REFUSALS]
    return Keeping([*kept, ReadModel(LATER, {RowsRefused: apply})], page_entries=PAGE)


@pytest.fixture
def old(ledger: Ledger) -> Ledger:
    """The older version, which has recorded more than a page."""
    events.put(ledger, "observations-cars", *[events.refused(1)] * MANY)
    return ledger


@pytest.fixture
def opened(settings: Settings) -> Iterator[Callable[[Keeping], Ledger]]:
    ledgers: list[Ledger] = []

    def open_as(keeping: Keeping) -> Ledger:
        ledgers.append(open_ledger(settings, keeping=keeping))
        return ledgers[-1]

    yield open_as
    for each in ledgers:
        each.close()


def refused_rows(ledger: Ledger) -> int:
    with ledger.connect() as connection:
        return int(connection.execute(select(func.sum(LATER.c.rows))).scalar_one())


def holds_the_ledgers_lock(connection: Connection) -> bool:
    """On PostgreSQL: whether this transaction keeps others from appending."""
    writers = int.from_bytes(b"whyledgr", signed=True)
    query = text(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        " AND classid = :high AND objid = :low"
    )
    high, low = writers >> 32, writers & 0xFFFFFFFF
    return bool(connection.execute(query, {"high": high, "low": low}).scalar_one())


def test_no_transaction_folds_more_than_a_page(
    old: Ledger, opened: Callable[[Keeping], Ledger]
) -> None:
    folded: Counter[object] = Counter()

    def count(connection: Connection, entries: Sequence[Recorded]) -> None:
        folded[connection.get_transaction()] += len(entries)

    new = opened(keeping(count))

    assert max(folded.values()) <= PAGE
    assert sum(folded.values()) == refused_rows(new) == MANY


def test_no_transaction_folds_more_rows_than_a_page_but_for_one_entry(
    ledger: Ledger, opened: Callable[[Keeping], Ledger]
) -> None:
    sizes = [2, 3, 2, PAGE + 5, 4, 4, 4]
    for size in sizes:
        put_many(ledger, predictions(*range(1, size + 1)))
    folded: dict[object, list[int]] = {}  # the positions of each row, by transaction

    def count(connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
        rows = folded.setdefault(connection.get_transaction(), [])
        rows.extend(each.position for each in entries)

    later = ReadModel(LATER, {PredictionMade: count})
    opened(Keeping([*WITH_THE_LEDGER, later], page_entries=5, page_rows=PAGE))

    assert [len(rows) for rows in folded.values()] == [7, PAGE + 5, 8, 4]
    assert [row for rows in folded.values() for row in rows] == [
        position for position, size in enumerate(sizes, 1) for _ in range(size)
    ]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_others_append_in_the_middle_of_every_page_but_the_first_and_the_last(
    old: Ledger, opened: Callable[[Keeping], Ledger]
) -> None:
    folded: Counter[bool] = Counter()  # entries, by whether others had to wait

    def append_meanwhile(connection: Connection, entries: Sequence[Recorded]) -> None:
        waits = holds_the_ledgers_lock(connection)
        folded[waits] += len(entries)
        if not waits:
            events.put(old, "observations-cars", events.refused(1))  # committed before the page is

    new = opened(keeping(append_meanwhile))

    assert folded[True] <= 2 * PAGE
    assert folded[False] >= MANY - 2 * PAGE
    assert refused_rows(new) == old.size() - 1
    assert rebuild(new, read_models=keeping().read_models).differing == ()


def test_two_processes_that_begin_at_once_fold_each_entry_once(
    old: Ledger, opened: Callable[[Keeping], Ledger]
) -> None:
    folded: Counter[int] = Counter()  # how often, by position

    def count(connection: Connection, entries: Sequence[Recorded]) -> None:
        folded.update(each.position for each in entries)

    starts = [threading.Thread(target=opened, args=(keeping(count),)) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()

    assert set(folded.values()) == {1}
    assert refused_rows(opened(keeping())) == len(folded) == MANY


def test_one_that_fails_in_the_middle_of_a_page_leaves_whole_pages_and_goes_on_there(
    old: Ledger, opened: Callable[[Keeping], Ledger]
) -> None:
    folded: list[int] = []

    def fail(connection: Connection, entries: Sequence[Recorded]) -> None:
        folded.extend(each.position for each in entries)
        if len(folded) > 4 * PAGE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        opened(keeping(fail))
    with old.snapshot() as connection:
        reached = positions_of(connection)[LATER.name]
        rows = connection.execute(select(LATER.c.position).order_by(LATER.c.position)).scalars()
        assert list(rows) == list(range(1, reached + 1))
    assert (reached + 1) % PAGE == 0
    folded.clear()

    def note(connection: Connection, entries: Sequence[Recorded]) -> None:
        folded.extend(each.position for each in entries)

    new = opened(keeping(note))

    assert folded == list(range(reached + 1, MANY + 1))
    assert refused_rows(new) == MANY


def test_what_another_version_drops_meanwhile_is_begun_anew(
    old: Ledger, settings: Settings
) -> None:
    dropped: list[list[str]] = []

    def drop(done: int, of: int) -> None:
        if done == 5 * PAGE and not dropped:  # as an erasure does
            with old.writing() as connection:
                dropped.append(old.project.drop_others(connection))

    new = open_ledger(settings, keeping=keeping(), progress=drop)

    assert dropped == [[LATER.name]]
    assert refused_rows(new) == MANY
    new.close()
