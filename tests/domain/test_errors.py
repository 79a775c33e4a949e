"""What an error carries: faults that any answer can hold, and what to do next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import CycleRunning, LedgerDamaged, UnknownThing, VersionConflict, WhyledgerError
from domain.faults import (
    FAULTS_MAX,
    MESSAGE_SHOWN_MAX,
    PATH_SHOWN_MAX,
    STEP_LENGTH_MAX,
    VALUE_SHOWN_MAX,
    Fault,
    Faults,
    pointer,
    summary,
)
from tests.domain.fault_places import leads_nowhere


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (12, 12),
        (1.5, 1.5),
        ("blue", "blue"),
        ("b" * 1000, "b" * VALUE_SHOWN_MAX),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (["a", {"b": 1}], "a list"),
        ({"b": 1}, "an object"),
    ],
)
def test_a_fault_shows_any_value_as_short_json(value: object, shown: object) -> None:
    said = Fault("/rows/3/hpwt", "is wrong", value).as_json()
    assert said == {"path": "/rows/3/hpwt", "message": "is wrong", "value": shown}
    assert json.loads(json.dumps(said, allow_nan=False)) == said


def test_a_lost_race_says_which_stream_has_moved_and_what_to_do() -> None:
    conflict = VersionConflict("model-cars", 3, 5)
    assert (conflict.stream, conflict.expected, conflict.actual) == ("model-cars", 3, 5)
    assert str(conflict) == (
        "stream 'model-cars' is at version 5, not 3: someone appended first. "
        "Read it again and decide again."
    )


def test_a_running_cycle_is_named_so_that_it_can_be_asked_for() -> None:
    assert CycleRunning("cycle 'cars-3' is running.", "cars-3").cycle == "cars-3"


@given(st.lists(st.text() | st.integers(0, 99)), st.text())
def test_a_pointer_leads_back_to_its_steps_whatever_they_are_called(
    steps: list[str | int], name: str
) -> None:
    document: Any = "here"
    for step in reversed([*steps, name]):
        document = {str(step): document}
    fault = Fault(pointer(*steps, name), "is wrong")
    assert not leads_nowhere(fault, document)
    assert fault.path == pointer(name, below=pointer(*steps))
    assert fault.name == name


def test_an_error_lists_the_first_faults_and_counts_the_others() -> None:
    many = [Fault(f"/{number}", "is wrong") for number in range(FAULTS_MAX + 7)]
    counted = Faults(many)
    counted.count(5)
    for faults, more in ((many, 7), (counted, 12)):
        error = WhyledgerError("wrong.", faults)
        assert error.faults == tuple(many[:FAULTS_MAX])
        assert error.more_faults == more
        assert summary(faults, most=1) == f"/0: is wrong; and {FAULTS_MAX + more - 1} more"
    joined = Faults(many[:2])
    joined.extend(counted)
    assert joined.is_full
    assert len(joined) == 2 + len(counted)


def test_a_name_that_a_client_made_up_is_cut_before_it_is_said() -> None:
    name, place = "n" * 100_000, pointer(*["m" * 1000] * 64)
    assert pointer(name) == "/" + "n" * STEP_LENGTH_MAX + "…"
    path, message = f"{place[:PATH_SHOWN_MAX]}…", f"{name[:MESSAGE_SHOWN_MAX]}…"
    assert Fault(place, name).as_json() == {"path": path, "message": message, "value": None}
    assert summary([Fault(place, name)] * 3) == "; ".join([f"{path}: {message}"] * 3)


def test_the_first_faults_are_said_and_the_others_counted() -> None:
    faults = [Fault("", "is wrong."), Fault("/a", "is bad"), Fault("/b", "is odd")]
    assert summary(faults) == "/: is wrong; /a: is bad; /b: is odd"
    assert summary(faults, most=1) == "/: is wrong; and 2 more"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnknownThing.entry(12, 12), "no entry 12. Its size is 12; ask for a position below it"),
        (UnknownThing.cycle("cars-9"), "cycle 'cars-9' does not exist. List a model's: GET"),
        (UnknownThing.decision("xyz"), "decision 'xyz' does not exist. List them: GET"),
        (UnknownThing.checkpoint(7), "no checkpoint covers 7 entries yet"),
        (LedgerDamaged.stranger(3, "a.b", "c.d"), "entry 3 is 'a.b', not 'c.d'. Stop writing"),
        (LedgerDamaged.without("cars-1", "train", "its data"), "came to train without its data"),
    ],
)
def test_what_is_looked_for_in_many_places_is_missing_in_one_wording(
    error: WhyledgerError, said: str
) -> None:
    assert said in error.message
