"""What fails for an hour fills no log: each thing is said once, and once that it is over."""

from __future__ import annotations

import logging

import pytest

from app.background.outage import Outage
from domain.errors import LedgerBusy

LOG = logging.getLogger("whyledger.test-outage")
FULL = OSError(28, "No space left on device", "ledger.db")


@pytest.fixture
def outage(caplog: pytest.LogCaptureFixture) -> Outage:
    caplog.set_level(logging.WARNING, LOG.name)
    return Outage(LOG, "no tea", "there is tea again")


def test_a_thing_that_stays_is_said_once_without_its_trace(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3600):
        outage.failed(FULL)
    assert caplog.messages == ["no tea: [Errno 28] No space left on device: 'ledger.db'"]
    assert "Traceback" not in caplog.text


def test_two_things_in_turns_are_said_once_each(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for size in range(100):
        outage.failed(LedgerBusy(f"{size} entries, 7 missing"))
        outage.failed(LedgerBusy("out of reach"), "it is out of reach")
    assert caplog.messages == ["no tea: 0 entries, 7 missing", "no tea: it is out of reach"]


def test_the_trace_of_a_mistake_is_shown_once(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        try:
            raise KeyError("kettle")
        except KeyError as error:
            outage.failed(error)
    assert caplog.messages == ["no tea: KeyError: 'kettle'"]
    assert caplog.text.count("Traceback") == 1


def test_the_end_is_said_once_and_what_fails_after_it_is_new(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    outage.over()
    outage.failed(FULL)
    outage.failed(FULL)
    outage.over()
    outage.over()
    outage.failed(FULL)
    full = "no tea: [Errno 28] No space left on device: 'ledger.db'"
    assert caplog.messages == [full, "there is tea again, after 2 tries in vain", full]


def test_a_long_list_of_different_things_ends(
    outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        outage.failed(LedgerBusy("x" * number))
    assert len(caplog.messages) == 16
