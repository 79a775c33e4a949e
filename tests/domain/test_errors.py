"""What an error carries: faults that any answer can hold, and what to do next."""

from __future__ import annotations

import json

import pytest

from domain.errors import CycleRunning, Fault, VersionConflict


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (12, 12),
        (1.5, 1.5),
        ("blue", "blue"),
        ("b" * 1000, "b" * 200),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (["a", {"b": 1}], "['a', {'b': 1}]"),
        (list(range(1000)), repr(list(range(1000)))[:200]),
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
