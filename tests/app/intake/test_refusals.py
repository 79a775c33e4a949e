"""Refused rows are counted: at once the first time, then once a minute, and never lost."""

from __future__ import annotations

import pytest

from app.cause import UNAUTHENTICATED, Cause
from app.intake.refusals import INTERVAL_SECONDS, OTHER, REASON_LENGTH_MAX, REASONS_MAX, Refusals
from app.ledger.store import Ledger
from domain.errors import LedgerBusy
from domain.events.events import RowsRefused

ADA = Cause("key:ada", "0195-a")
BOB = Cause("key:bob", "0195-b")


class Minutes:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def counted(ledger: Ledger) -> list[tuple[str, str, int, dict[str, int]]]:
    return [
        (e.event.model, e.event.door, e.event.rows, e.event.reasons)
        for e in ledger.read()
        if isinstance(e.event, RowsRefused)
    ]


def test_the_first_refusal_is_written_at_once_and_later_ones_once_a_minute(
    ledger: Ledger,
) -> None:
    clock = Minutes()
    refusals = Refusals(ledger, clock)
    refusals.count("car-price", "events", 1, {"hpwt: out of range": 1}, ADA)
    for _ in range(5):
        refusals.count("car-price", "events", 2, {"mpg: missing": 2}, ADA)
    assert counted(ledger) == [("car-price", "events", 1, {"hpwt: out of range": 1})]
    clock.seconds += INTERVAL_SECONDS
    refusals.write_due()
    assert counted(ledger)[1:] == [("car-price", "events", 10, {"mpg: missing": 10})]
    clock.seconds += 10 * INTERVAL_SECONDS
    refusals.write_due()
    assert len(counted(ledger)) == 2  # nothing waits, nothing is written


def test_each_model_has_a_minute_of_its_own_and_its_doors_take_turns(ledger: Ledger) -> None:
    clock = Minutes()
    refusals = Refusals(ledger, clock)
    refusals.count("car-price", "events", 1, {"a: b": 1}, ADA)
    refusals.count("car-price", "events", 2, {"a: b": 2}, ADA)
    refusals.count("car-price", "predictions", 5, {"a: b": 5}, ADA)
    refusals.count("car-sales", "events", 1, {"a: b": 1}, ADA)
    written = [("car-price", "events", 1), ("car-sales", "events", 1)]
    assert [row[:3] for row in counted(ledger)] == written
    for door, rows in (("predictions", 5), ("events", 2)):
        clock.seconds += INTERVAL_SECONDS
        refusals.write_due()
        refusals.write_due()
        written.append(("car-price", door, rows))
        assert [row[:3] for row in counted(ledger)] == written


def test_what_waits_is_written_before_a_cycle_starts_and_at_the_end(ledger: Ledger) -> None:
    refusals = Refusals(ledger, Minutes())
    for model in ("car-price", "car-sales"):
        for _ in range(2):
            refusals.count(model, "events", 1, {"a: b": 1}, ADA)
    refusals.flush("car-price")
    assert [model for model, *_ in counted(ledger)] == ["car-price", "car-sales", "car-price"]
    refusals.close()
    assert [model for model, *_ in counted(ledger)][3:] == ["car-sales"]


def test_a_busy_ledger_loses_no_count(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals(ledger, Minutes())

    def busy(*_: object, **__: object) -> None:
        raise LedgerBusy("busy")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "append", busy)
        refusals.count("car-price", "events", 3, {"a: b": 3}, ADA)
        with pytest.raises(LedgerBusy):
            refusals.flush()
    assert counted(ledger) == []
    refusals.write_due()
    assert counted(ledger) == [("car-price", "events", 3, {"a: b": 3})]


def test_invented_reasons_do_not_swell_the_ledger(sqlite_ledger: Ledger) -> None:
    refusals = Refusals(sqlite_ledger, Minutes())
    many = {f"{'x' * 500}{number}: unknown": 1 for number in range(10)}
    refusals.count("car-price", "events", 1, many | {f"{n}: x": 1 for n in range(200)}, ADA)
    ((_, _, _, reasons),) = counted(sqlite_ledger)
    assert len(reasons) <= REASONS_MAX + 1
    assert max(map(len, reasons)) <= REASON_LENGTH_MAX
    assert sum(reasons.values()) == 210
    assert reasons[OTHER] > 0


def causes(ledger: Ledger) -> list[tuple[str, str]]:
    return [
        (entry.actor, entry.correlation_id)
        for entry in ledger.read()
        if isinstance(entry.event, RowsRefused)
    ]


def test_a_count_of_one_request_names_who_asked_and_one_of_several_names_nobody(
    ledger: Ledger,
) -> None:
    clock = Minutes()
    refusals = Refusals(ledger, clock)
    refusals.count("car-price", "events", 1, {"a: b": 1}, ADA)
    refusals.count("car-price", "events", 1, {"a: b": 1}, BOB)
    clock.seconds += INTERVAL_SECONDS
    refusals.write_due()
    refusals.count("car-price", "events", 1, {"a: b": 1}, ADA)
    refusals.count("car-price", "events", 1, {"a: b": 1}, BOB)
    refusals.flush()

    alone, waited, gathered = causes(ledger)

    assert alone == ("key:ada", "0195-a")
    assert waited == ("key:bob", "0195-b")  # a minute later, and still that request's alone
    assert gathered[0] == UNAUTHENTICATED
    assert gathered[1] not in ("0195-a", "0195-b")


def test_a_count_that_a_busy_ledger_sent_back_keeps_its_cause(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = Refusals(ledger, Minutes())

    def busy(*_: object, **__: object) -> None:
        raise LedgerBusy("busy")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "append", busy)
        refusals.count("car-price", "events", 1, {"a: b": 1}, ADA)
    refusals.flush()

    assert causes(ledger) == [("key:ada", "0195-a")]
