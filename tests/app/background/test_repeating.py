"""Background work goes on whatever it raises, and ends when it is told to."""

from __future__ import annotations

import logging
import threading

import pytest

from app.background.repeating import Repeating
from tests.patience import HANGS_SECONDS

SOON = 0.001
NEVER = 3600.0


class Counted:
    """Work that counts its calls, and raises in the first `failing` of them."""

    def __init__(self, failing: int = 0) -> None:
        self.calls = 0
        self.third = threading.Event()
        self._failing = failing

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 3:
            self.third.set()
        if self.calls <= self._failing:
            raise RuntimeError(f"call {self.calls}")


def test_work_is_done_again_and_again_until_it_is_closed() -> None:
    work = Counted()
    repeating = Repeating("work", work, SOON)
    repeating.start()
    assert work.third.wait(HANGS_SECONDS)
    repeating.close()
    done = work.calls
    repeating.close()
    assert work.calls == done


def test_what_fails_is_logged_and_done_again(caplog: pytest.LogCaptureFixture) -> None:
    work = Counted(failing=2)
    repeating = Repeating("work", work, SOON)
    with caplog.at_level(logging.WARNING, "whyledger.background"):
        repeating.start()
        assert work.third.wait(HANGS_SECONDS)
        repeating.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the background work 'work' failed: RuntimeError: call 1",
        "the background work 'work' is done again, after 2 tries in vain",
    ]


@pytest.mark.parametrize(("once_more", "calls"), [(False, 0), (True, 1)])
def test_closing_waits_for_no_round_and_does_a_last_one_only_when_asked(
    once_more: bool, calls: int
) -> None:
    work = Counted()
    repeating = Repeating("work", work, NEVER, once_more=once_more)
    repeating.start()
    repeating.close()
    assert work.calls == calls


def test_closing_waits_for_the_call_under_way_but_only_so_long_as_it_is_told() -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        assert let_go.wait(HANGS_SECONDS)
        ended.set()

    repeating = Repeating("slow", slow, SOON)
    repeating.start()
    assert begun.wait(HANGS_SECONDS)
    repeating.close(seconds_max=0.01)
    assert not ended.is_set()
    let_go.set()
    repeating.close()
    assert ended.is_set()


def test_closing_what_never_began_is_harmless() -> None:
    work = Counted()
    Repeating("work", work, SOON, once_more=True).close()
    assert work.calls == 0
