"""An erasure is killed at any of its own calls: it is recorded whole or not at all, and finished.

The process that erases sends itself SIGKILL, so nothing of it is left to tidy up.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from types import FrameType

import pytest

from app.cause import Cause
from app.intake.erasure import erase
from app.ledger.store import Ledger
from app.projections.kept_scratch import kept_scratches
from app.projections.opening import open_ledger
from app.projections.rebuild import rebuild
from app.settings import Settings
from domain.events.events import PayloadErased, Row
from tests.app.car_ledger import CarLedger
from tests.app.people import MARKER, forgets, holders, key_of, rows_with, stands_among_many
from tests.forked import Forked
from tests.told import Story, ToldOnce, retold

OURS = (
    "intake/erasure.py",
    "projections/kept_scratch.py",
    "training/erasing.py",
    "ledger/payloads.py",
    "ledger/finding_rows.py",
    "ledger/block_erasure.py",
    "ledger/commit.py",
    "ledger/deciding.py",
    "database/compaction.py",
)
STEP_SHORT, STEP_LONG = 75, 1  # calls from one death to the next


def erase_and_die(identity: str, call: int) -> None:
    """Erase, and be gone at this call of a function of `OURS`; to the end when there are fewer."""
    settings = Settings()
    ledger = open_ledger(settings)
    seen = 0

    def look(frame: FrameType, event: str, _: object) -> None:
        nonlocal seen
        if event in ("call", "return") and frame.f_code.co_filename.endswith(OURS):
            seen += 1
            if seen == call:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(look)
    erase(
        ledger,
        settings,
        model="car-price",
        identity=identity,
        reason="the owner asked",
        legal_basis="GDPR Art. 17",
        cause=Cause.unauthenticated("asked"),
    )


Found = list[dict[str, int]]


def found_of(cars: CarLedger, row: Row) -> Found:
    """In how many rows of each table the person's name and the row's key stand."""
    return [rows_with(cars.ledger, needle) for needle in (MARKER, key_of(row))]


def is_recorded(cars: CarLedger) -> bool:
    entries = cars.ledger.read_stream(PayloadErased.stream).entries
    return any(isinstance(entry.event, PayloadErased) for entry in entries)


def leave_a_rebuild(ledger: Ledger, settings: Settings) -> None:
    """One that folded everything and was cut off."""

    def give_up(done: int, of: int) -> None:
        if done == of:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(ledger, give_up, kept=kept_scratches(settings))


def test_killed_at_any_call_an_erasure_is_whole_or_not_at_all_and_is_finished_by_the_next(
    settings: Settings, told_once: ToldOnce, of_people: Story, soaking: bool
) -> None:
    told = told_once(of_people, settings)
    row: Row = told.gives
    before: Found = []
    seen: set[bool] = set()
    call, code = 0, -signal.SIGKILL  # at no call at first, to see what stands before
    while code == -signal.SIGKILL:
        shutil.rmtree(settings.state_dir, ignore_errors=True)
        ledger = open_ledger(retold(told, settings))
        cars = CarLedger(ledger, settings)
        stands_among_many(cars, row)
        before = before or found_of(cars, row)
        leave_a_rebuild(ledger, settings)
        assert holders(kept_scratches(settings), key_of(row).encode()) != []
        ledger.close()
        call += STEP_LONG if soaking else STEP_SHORT
        environment = os.environ | settings.as_environment()
        code = Forked(erase_and_die, (key_of(row), call), environment).wait()
        ledger = open_ledger(settings)
        cars = CarLedger(ledger, settings)
        seen.add(recorded := is_recorded(cars))
        found = found_of(cars, row)
        assert {n for each in found for n in each.values()} == {0} if recorded else found == before
        forgets(cars, row)
        assert {n for each in found_of(cars, row) for n in each.values()} == {0}
        needles = MARKER.encode(), key_of(row).encode()
        assert holders(settings.state_dir.parent, *needles) == []
        assert rebuild(ledger).differing == ()
        ledger.close()
    assert code == 0
    assert seen == {False, True}
