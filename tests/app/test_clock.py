from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app import clock
from domain.times import format_time, parse_time


def test_now_is_utc_with_six_decimals() -> None:
    before = datetime.now(UTC)
    text = clock.now()
    assert before <= parse_time(text) <= datetime.now(UTC)
    assert format_time(parse_time(text)) == text


def test_an_id_is_a_uuid_of_version_7_that_holds_the_time() -> None:
    before = datetime.now(UTC).timestamp()
    id = UUID(clock.new_id())
    assert (id.version, id.variant) == (7, "specified in RFC 4122")
    milliseconds = id.int >> 80
    assert int(before * 1000) <= milliseconds <= datetime.now(UTC).timestamp() * 1000


def test_ids_sort_in_the_order_they_were_drawn() -> None:
    ids = [clock.new_id() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_ids_go_on_when_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.new_id()
    monkeypatch.setattr("time.time_ns", lambda: 10**18)
    after = [clock.new_id() for _ in range(5)]
    assert [before, *after] == sorted({before, *after})


def test_ids_of_many_threads_are_all_different() -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(clock.new_id() for _ in range(500)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 4000
