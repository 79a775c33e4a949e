"""Many writers at once: positions stay dense, streams whole, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app.cause import Cause
from app.clock import new_id
from app.database.engine import create_database
from app.ledger.reading import head, read_entries
from app.ledger.store import Ledger, StreamAppend
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.projections.runner import apply
from app.settings import Settings
from domain.errors import VersionConflict
from domain.events.events import LedgerCreated
from tests.app.ledger.writers import Writer
from tests.ledger_events import attempted, new, put, refused, started

StartWriter = Callable[[Settings, str, int], Writer]


@pytest.fixture
def start_writer() -> Iterator[StartWriter]:
    """Makes writers that are ended when the test is."""
    with ExitStack() as stack:

        def make(settings: Settings, name: str, appends: int) -> Writer:
            made = Writer(settings, name, appends)
            stack.callback(made.end)
            return made

        yield make


def assert_dense_and_whole(ledger: Ledger) -> None:
    entries = ledger.read(-1, 100_000)
    assert [entry.position for entry in entries] == list(range(len(entries)))
    versions: Counter[str] = Counter()
    for entry in entries:
        assert entry.stream_version == versions[entry.stream]
        versions[entry.stream] += 1
    appends = Counter(entry.correlation_id for entry in entries if " " in entry.correlation_id)
    assert set(appends.values()) <= {4}  # all four events of an append, or none of them
    assert rebuild(ledger).differing == ()


def test_threads_and_processes_keep_positions_dense(
    ledger: Ledger, settings: Settings, start_writer: StartWriter
) -> None:
    writers = [start_writer(settings, name, 15) for name in ("one", "two")]
    for writer in writers:
        writer.ready()
    said: list[int] = []

    def append() -> None:
        for _ in range(15):
            said.extend(e.position for e in put(ledger, "observations-shared", refused()))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for writer in writers:
        writer.go()
    for thread in threads:
        thread.join()
    for writer in writers:
        said.extend(writer.rest())
        assert writer.process.returncode == 0
    assert sorted(said) == list(range(1, 1 + 2 * 15 * 4 + 4 * 15))
    assert_dense_and_whole(ledger)


def test_of_many_who_decided_on_one_version_exactly_one_appends(ledger: Ledger) -> None:
    put(ledger, "cycle-cars-1", started(1))
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def decide() -> None:
        barrier.wait()
        try:
            put(ledger, "cycle-cars-1", attempted(), expected=0)
            outcomes.append("appended")
        except VersionConflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=decide) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["appended"] + ["conflict"] * 7
    assert ledger.read_stream("cycle-cars-1").version == 1


def test_of_many_who_send_one_id_all_get_the_same_entry(ledger: Ledger) -> None:
    event = new(refused(), request_digest=bytes(32))
    found: list[int] = []
    barrier = threading.Barrier(8)

    def send() -> None:
        barrier.wait()
        (entry,) = ledger.append(
            [StreamAppend("observations-cars", (event,), None)], Cause.unauthenticated(new_id())
        )
        found.append(entry.position)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert ledger.size() == 2


def test_a_writer_killed_anywhere_leaves_a_dense_and_whole_ledger(
    ledger: Ledger, settings: Settings, start_writer: StartWriter
) -> None:
    for kill in range(3):
        writer = start_writer(settings, f"killed{kill}", 100_000).ready()
        writer.go()
        said = [writer.one() for _ in range(10 + 7 * kill)]
        os.kill(writer.process.pid, signal.SIGKILL)
        said_since = writer.rest()
        acknowledged = {position for four in said for position in four} | set(said_since)
        assert writer.process.returncode == -signal.SIGKILL
        assert acknowledged <= set(range(ledger.size()))
        assert_dense_and_whole(ledger)
    size = ledger.size()
    assert put(ledger, "observations-after", refused())[0].position == size


def test_many_processes_open_a_new_ledger_at_once_and_create_it_once(
    empty_database_url: str, start_writer: StartWriter
) -> None:
    settings = Settings(database_url=empty_database_url, busy_timeout_seconds=60)
    writers = [start_writer(settings, f"opener{number}", 1) for number in range(4)]
    for writer in writers:
        writer.ready()
    for writer in writers:
        writer.go()
    assert sorted(position for writer in writers for position in writer.rest()) == [*range(1, 17)]
    ledger = open_ledger(settings)
    created = [e for e in ledger.read(-1, 100) if isinstance(e.event, LedgerCreated)]
    assert [entry.position for entry in created] == [0]
    assert_dense_and_whole(ledger)
    ledger.close()


def test_readers_see_one_moment_while_others_append(ledger: Ledger) -> None:
    put(ledger, "observations-cars", refused())
    with ledger.connect() as connection:
        before = head(connection)
        put(ledger, "observations-cars", refused())
        assert head(connection) == before
        assert len(read_entries(connection, -1, 100)) == before + 1
    assert ledger.size() == before + 2


def test_more_readers_than_kept_connections_all_get_an_answer(ledger: Ledger) -> None:
    threads = 60
    sizes: list[int] = []
    readers = [threading.Thread(target=lambda: sizes.append(ledger.size())) for _ in range(threads)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sizes == [1] * threads


def test_a_closed_ledger_may_be_opened_again(settings: Settings) -> None:
    first = open_ledger(settings)
    id = first.ledger_id()
    first.close()
    again = Ledger(create_database(settings.ledger_url, settings), apply, busy_timeout_seconds=1)
    assert again.ledger_id() == id
    again.close()
