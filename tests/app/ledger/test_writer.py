"""Group commit: many appends, one transaction; each refused, acknowledged or failed by itself."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import text

from app.cause import Cause
from app.clock import new_id
from app.database.engine import create_database
from app.database.locks import take_lock
from app.ledger.batch import PreparedAppend
from app.ledger.commit import commit_all
from app.ledger.preparing import prepare
from app.ledger.store import Connection, Ledger, StreamAppend
from app.ledger.writer import DRAIN_ROWS_MAX, Writer
from app.ledger.wrong_rows import FoldingAnew
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.runner import apply
from app.settings import Settings
from domain.errors import (
    IdempotencyConflict,
    LedgerBusy,
    LedgerDamaged,
    NotCanonical,
    VersionConflict,
)
from domain.events.envelope import Recorded, parse_entry
from domain.events.events import Event
from tests.app.ledger.test_rows_given_by_columns import predictions, record
from tests.ledger_events import (
    TIME,
    artefact,
    attempted,
    new,
    observation,
    outcome,
    prediction,
    put,
    refused,
    started,
)
from tests.patience import HANGS_SECONDS, until

DIGEST = hashlib.sha256(b"the request").digest()
OTHER = hashlib.sha256(b"another request").digest()


def waiting(ledger: Ledger) -> int:
    return len(ledger._writer._queue)


@contextmanager
def held(ledger: Ledger, pool: ThreadPoolExecutor) -> Iterator[Future[tuple[Recorded, ...]]]:
    """The writer has taken one append and waits for the lock; whatever comes next is queued."""
    taken = threading.Event()
    begin = ledger._writer._begin

    def begun(deadline: float) -> object:
        taken.set()
        return begin(deadline)

    with ledger.writing():
        ledger._writer._begin = begun  # type: ignore[assignment]
        first = pool.submit(put, ledger, "observations-cars", refused())
        assert taken.wait(HANGS_SECONDS)
        ledger._writer._begin = begin
        yield first


def test_64_producers_get_dense_positions_in_few_transactions(ledger: Ledger) -> None:
    transactions = Counter[str]()
    begin = ledger._writer._begin

    def counted(deadline: float) -> object:
        transactions["begun"] += 1
        return begin(deadline)

    ledger._writer._begin = counted  # type: ignore[assignment]
    start = threading.Barrier(64)

    def produce(number: int) -> list[Recorded]:
        start.wait()
        made = [
            put(ledger, "predictions-cars", prediction(f"car={number}-{i}"))[0] for i in range(5)
        ]
        return made

    with ThreadPoolExecutor(64) as pool:
        made = [entry for each in pool.map(produce, range(64)) for entry in each]
    assert sorted(entry.position for entry in made) == list(range(1, 321))
    assert sorted(entry.stream_version for entry in made) == list(range(320))
    stored = {entry.id: entry for entry in ledger.read(0, 1000)}
    assert all(stored[entry.id] == entry for entry in made)
    assert transactions["begun"] < 160
    assert rebuild(ledger).differing == ()


def test_a_conflict_refuses_its_own_append_and_not_its_neighbours(ledger: Ledger) -> None:
    put(ledger, "cycle-cars-1", started(1), expected=-1)
    known = new_id()
    put(ledger, "observations-cars", refused(), id=known, request_digest=DIGEST)

    async def all_at_once() -> list[object]:
        def ask(stream: str, event: Event, expected: int | None, **how: object) -> object:
            return ledger.append_soon(
                [
                    StreamAppend("observations-cars", (new(refused()),), None),
                    StreamAppend(stream, (new(event, **how),), expected),
                ],
                Cause.unauthenticated(new_id()),
            )

        answers: list[object] = await asyncio.gather(  # type: ignore[call-overload]
            ask("observations-cars", refused(), None),
            ask("cycle-cars-1", attempted(), -1),
            ask("cycle-cars-1", attempted(), 0),
            ask("cycle-cars-1", attempted(2), 0),
            ask("observations-cars", refused(), None, id=known, request_digest=OTHER),
            ask("observations-cars", refused(), None, id=known, request_digest=DIGEST),
            return_exceptions=True,
        )
        return answers

    with ThreadPoolExecutor(2) as pool, held(ledger, pool):  # all of them in one transaction
        running = pool.submit(lambda: asyncio.run(all_at_once()))
        until(lambda: waiting(ledger) == 6)
    one, stale, fresh, late, other, retried = running.result()
    assert isinstance(stale, VersionConflict)
    assert (stale.expected, stale.actual) == (-1, 0)
    assert isinstance(late, VersionConflict)
    assert (late.expected, late.actual) == (0, 1)
    assert isinstance(other, IdempotencyConflict)
    positions = [[entry.position for entry in each] for each in (one, fresh, retried)]  # type: ignore[attr-defined]
    assert positions == [[4, 5], [6, 7], [8, 2]]
    assert ledger.size() == 9
    assert rebuild(ledger).differing == ()


def test_the_same_request_twice_in_one_transaction_is_recorded_once(ledger: Ledger) -> None:
    id = new_id()

    def ask(digest: bytes) -> tuple[Recorded, ...]:
        return put(ledger, "predictions-cars", prediction(), id=id, request_digest=digest)

    with ThreadPoolExecutor(9) as pool, held(ledger, pool):
        same = [pool.submit(ask, DIGEST) for _ in range(7)]
        until(lambda: waiting(ledger) == 7)
        other = pool.submit(ask, OTHER)
        until(lambda: waiting(ledger) == 8)
    answers = [each.result() for each in same]
    assert all(answer == answers[0] for answer in answers)
    with pytest.raises(IdempotencyConflict, match=id):
        other.result()
    assert ledger.size() == 3


def test_a_full_queue_refuses_at_once_and_drops_nothing(ledger: Ledger) -> None:
    small = Ledger(ledger.engine, apply, busy_timeout_seconds=5, queue_rows_max=3)
    with ThreadPoolExecutor(8) as pool, held(small, pool) as first:
        taken = [first]
        for _ in range(3):
            taken.append(pool.submit(put, small, "observations-cars", refused()))
        until(lambda: waiting(small) == 3)
        with pytest.raises(LedgerBusy, match="3 rows wait to be written and at most 3 may"):
            put(small, "observations-cars", refused())
        with pytest.raises(LedgerBusy, match="nothing was kept"):
            asyncio.run(
                small.append_soon(
                    [StreamAppend("observations-cars", (new(refused()),), None)],
                    Cause.unauthenticated(new_id()),
                )
            )
    assert sorted(each.result()[0].position for each in taken) == [1, 2, 3, 4]
    small._writer.close()
    assert ledger.size() == 5


def test_the_rows_of_an_entry_of_many_wait_each_for_itself(ledger: Ledger) -> None:
    small = Ledger(ledger.engine, apply, busy_timeout_seconds=5, queue_rows_max=4)
    with ThreadPoolExecutor(4) as pool, held(small, pool):
        taken = pool.submit(record, small, predictions([1, 2, 3], new_id()))
        until(lambda: waiting(small) == 1)
        with pytest.raises(LedgerBusy, match="3 rows wait to be written and at most 4 may"):
            record(small, predictions([4, 5], new_id()))
        alone = pool.submit(put, small, "observations-cars", refused())
        until(lambda: waiting(small) == 2)
    assert (taken.result()[0].rows, alone.result()[0].rows) == (3, 1)
    small._writer.close()


def test_entries_of_many_rows_share_a_transaction_as_far_as_their_rows_fit(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    transactions: list[int] = []

    def committed(connection: Connection, appends: Sequence[PreparedAppend], project: Any) -> Any:
        transactions.append(sum(each.rows for each in appends))
        return commit_all(connection, appends, project)

    with ThreadPoolExecutor(4) as pool, held(ledger, pool):
        monkeypatch.setattr("app.ledger.writer.commit_all", committed)
        cars = range(DRAIN_ROWS_MAX // 2)
        asked = [pool.submit(record, ledger, predictions(cars, new_id())) for _ in range(3)]
        until(lambda: waiting(ledger) == 3)
    assert {each.result()[0].rows for each in asked} == {len(cars)}
    assert transactions[-2:] == [DRAIN_ROWS_MAX, len(cars)]


def test_an_append_larger_than_the_queue_is_taken_when_nothing_waits(ledger: Ledger) -> None:
    small = Ledger(ledger.engine, apply, busy_timeout_seconds=5, queue_rows_max=3)
    assert len(put(small, "observations-cars", *[refused()] * 5)) == 5
    small._writer.close()


def test_more_than_one_transaction_may_hold_is_cut_between_appends(ledger: Ledger) -> None:
    rows = [prediction(f"car={n}") for n in range(DRAIN_ROWS_MAX // 2 + 1)]
    with ThreadPoolExecutor(4) as pool, held(ledger, pool):
        asked = [pool.submit(put, ledger, "predictions-cars", *rows) for _ in range(3)]
        until(lambda: waiting(ledger) == 3)
    assert {len(each.result()) for each in asked} == {len(rows)}
    assert ledger.size() == 3 * len(rows) + 2


def test_what_a_check_raises_undoes_only_its_own_append(ledger: Ledger) -> None:
    plan = artefact(b"a plan that does not load")

    def check(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        raise LedgerDamaged("it does not load")

    def checked() -> object:
        return ledger.append(
            [StreamAppend("observations-cars", (new(refused()),), None)],
            Cause.unauthenticated(new_id()),
            artefacts=[plan],
            check=check,
        )

    with ThreadPoolExecutor(6) as pool, held(ledger, pool) as first:
        fine = [first]
        fine += [pool.submit(put, ledger, "observations-cars", refused()) for _ in range(2)]
        broken = pool.submit(checked)
        fine += [pool.submit(put, ledger, "observations-cars", refused()) for _ in range(2)]
        until(lambda: waiting(ledger) == 5)
    with pytest.raises(LedgerDamaged, match="it does not load"):
        broken.result()
    assert sorted(each.result()[0].position for each in fine) == [1, 2, 3, 4, 5]


def test_a_commit_that_fails_fails_everybody_in_it_with_the_cause(settings: Settings) -> None:
    impatient = open_ledger(settings.model_copy(update={"busy_timeout_seconds": 0.2}))
    elsewhere = create_database(settings.ledger_url, settings)
    with elsewhere.connect() as connection, ThreadPoolExecutor(4) as pool:
        take_lock(connection, 1)
        asked = [pool.submit(put, impatient, "observations-cars", refused()) for _ in range(4)]
        for each in asked:
            with pytest.raises(LedgerBusy, match="nothing was kept"):
                each.result()
        connection.rollback()
    assert impatient.size() == 1
    assert put(impatient, "observations-cars", refused())[0].position == 1
    elsewhere.dispose()
    impatient.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_writer_itself_breaks_nobody_waits_for_ever(ledger: Ledger) -> None:
    ended: list[threading.Thread] = []

    def broken(_: object) -> None:
        ended.append(threading.current_thread())
        raise MemoryError("no room to answer")

    writer = ledger._writer
    original = writer._write
    writer._write = broken  # type: ignore[assignment, method-assign]
    with ledger.writing():
        with pytest.raises(LedgerBusy, match=r"writer ended \(MemoryError: no room to answer\)"):
            put(ledger, "observations-cars", refused())
    writer._write = original  # type: ignore[method-assign]
    assert put(ledger, "observations-cars", refused())[0].position == 1  # another thread begins
    ended[0].join()  # so that what it broke by is heard of in this test, and in no other


def test_a_cancelled_caller_disturbs_nobody(ledger: Ledger) -> None:
    async def ask() -> tuple[Recorded, ...]:
        def one() -> asyncio.Task[tuple[Recorded, ...]]:
            append = StreamAppend("observations-cars", (new(refused()),), None)
            return asyncio.create_task(
                ledger.append_soon([append], Cause.unauthenticated(new_id()))
            )

        gone, stays = one(), one()
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await stays

    (entry,) = asyncio.run(ask())
    assert entry.position == 2
    assert ledger.size() == 3  # what was taken is committed all the same


def test_closing_writes_what_waits_first(ledger: Ledger) -> None:
    with ThreadPoolExecutor(6) as pool:
        with held(ledger, pool):
            asked = [pool.submit(put, ledger, "observations-cars", refused()) for _ in range(4)]
            until(lambda: waiting(ledger) == 4)
            closing = pool.submit(ledger._writer.close)
        closing.result()
        assert ledger._writer._thread is None
        assert sorted(each.result()[0].position for each in asked) == [2, 3, 4, 5]


def test_an_idle_writer_ends_and_begins_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ledger.writer.IDLE_SECONDS", 0.01)
    put(ledger, "observations-cars", refused())
    until(lambda: ledger._writer._thread is None)
    assert put(ledger, "observations-cars", refused())[0].position == 2


def test_a_writer_that_never_wrote_closes() -> None:
    def never(*_: object) -> object:
        raise AssertionError

    Writer(never, apply, never, never, anew=FoldingAnew(), wait_seconds=1).close()  # type: ignore[arg-type]


NO_NUL = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
VALUES = st.one_of(
    st.none(),
    st.text(NO_NUL, max_size=8),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-(2.0**53) + 1, 2.0**53 - 1),
)
ROWS = st.dictionaries(st.text(NO_NUL, min_size=1, max_size=4), VALUES, max_size=5)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(row=ROWS, value=FLOATS, names=st.lists(st.text(NO_NUL, max_size=4), max_size=3))
def test_events_that_are_not_read_back_equal_what_a_rebuild_reads(
    row: dict[str, float | int | str | None], value: float, names: list[str]
) -> None:
    events: list[Event] = [
        replace(prediction(value=value), row=row, unknown_categories=tuple(names)),
        replace(observation(), row=row),
        outcome("an id", label=value),
    ]
    for event in events:
        stream = f"{event.stream.partition('-')[0]}-cars"
        (part,) = prepare(
            [StreamAppend(stream, (new(event),), None)],
            Cause("somebody", "why"),
            recorded_at=TIME,
        )
        (entry,) = part.entries
        assert parse_entry(entry.content, position=-1, stream_version=-1) == entry.recorded


@pytest.mark.parametrize("personal", [False, True])
def test_text_that_holds_nul_is_refused(sqlite_ledger: Ledger, personal: bool) -> None:
    event = replace(observation(), row={"maker": "a\0b"})
    with pytest.raises(NotCanonical, match=r"a text holds U\+0000"):
        put(sqlite_ledger, "observations-cars", event, personal=personal)
    assert sqlite_ledger.size() == 1


@pytest.mark.parametrize("value", [2.0**53, -4.6e16, 1e300])
def test_a_number_that_would_not_read_back_is_refused(sqlite_ledger: Ledger, value: float) -> None:
    event = replace(observation(), row={"weight": value})
    with pytest.raises(NotCanonical, match=r"/data/row/weight: .* reads back the same"):
        put(sqlite_ledger, "observations-cars", event)
    assert sqlite_ledger.size() == 1
