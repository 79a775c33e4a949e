from __future__ import annotations

import threading
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import pytest

from app import clock
from domain.times import format_time, parse_time
from tests.soak.tables import Say

IDS_SHORT, IDS_LONG = 2_000, 1_000_000
SEED = 9


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


def test_ids_go_on_however_the_clock_jumps(
    monkeypatch: pytest.MonkeyPatch, soaking: bool, say: Say
) -> None:
    """Given a clock set by chance, by years, by milliseconds and to where it was."""
    random, drawn = Random(SEED), IDS_LONG if soaking else IDS_SHORT
    told = [10**18]

    def reading() -> int:
        step = random.choice([0, 1, 10**6, 10**9, 86_400 * 10**9, 315_360_000 * 10**9])
        told.append(max(0, told[-1] + random.choice([-step, step])))
        return told[-1]

    monkeypatch.setattr("time.time_ns", reading)
    monkeypatch.setattr("app.clock._last_tick", 0)  # and put back: others draw ids of today
    ids = [clock.new_id() for _ in range(drawn)]
    assert ids == sorted(set(ids))
    say(f"{drawn:,} ids by a clock that jumped {len(told):,} times: in order, none twice")


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
