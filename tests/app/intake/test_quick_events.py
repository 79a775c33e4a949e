"""What is read quickly is what the declared shapes take, with the same values; no more is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from app.intake.cloud_events import OBSERVATION, OUTCOME, CloudEvent, Observation, Outcome
from app.intake.quick_events import (
    QuickEvent,
    QuickObservation,
    QuickOutcome,
    read_data,
    read_event,
)

GOOD: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "129",
    "source": "/cars/1976",
    "type": OUTCOME,
    "data": {"model": "car-price", "prediction_id": "p", "label": 4.5},
}
TEXTS = st.sampled_from(
    ["", "1", "1.0", "a\tb", "é", "car-price", "Car Price", "x" * 65, "y" * 257, "z" * 1025]
)
TYPES = st.sampled_from([OBSERVATION, OUTCOME, "org.whyledger.outcome.v2"])
KINDS = st.sampled_from(["application/json", "application/json; charset=utf-8", "text/csv"])
VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | TEXTS
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=2)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["car-price", "cars", "cars\n"]) | VALUES,
        "label": VALUES | st.lists(VALUES, max_size=2),
        "prediction_id": VALUES,
        "identity": OBJECTS | VALUES,
        "row": OBJECTS | VALUES,
        "also": VALUES,
    },
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "specversion": VALUES,
        "id": VALUES,
        "source": VALUES,
        "type": TYPES | VALUES,
        "data": DATA | VALUES,
        "time": VALUES,
        "datacontenttype": KINDS | VALUES,
        "subject": VALUES,
        "team": VALUES,
    },
)
ATTRIBUTES = (
    "specversion",
    "id",
    "source",
    "type",
    "data",
    "time",
    "datacontenttype",
    "extensions",
)


def agree(
    shape: type[BaseModel], sent: object, read: Callable[[], object], names: Iterable[str]
) -> None:
    """Both refuse what was sent, or both have the same under these names."""
    try:
        declared = shape.model_validate(sent)
    except ValidationError:
        with pytest.raises(ValidationError):
            read()
        return
    found = read()
    for name in names:
        assert getattr(found, name) == getattr(declared, name)


@given(CHANGES, st.sets(st.sampled_from(sorted(GOOD)), max_size=1))
def test_an_event_is_read_as_the_declared_shape_reads_it(
    changes: dict[str, Any], without: set[str]
) -> None:
    sent = {name: value for name, value in (GOOD | changes).items() if name not in without}
    agree(CloudEvent, sent, lambda: read_event(sent), ATTRIBUTES)


@given(DATA, st.sampled_from([OBSERVATION, OUTCOME]))
def test_its_data_is_read_as_the_declared_shape_reads_it(data: dict[str, Any], kind: str) -> None:
    shape = Observation if kind == OBSERVATION else Outcome
    event = CloudEvent.model_validate(GOOD | {"type": kind, "data": data})
    agree(shape, data, lambda: read_data(event), shape.model_fields)


def test_what_is_ordinary_is_read_quickly() -> None:
    event = read_event(GOOD)
    assert isinstance(event, QuickEvent)
    assert isinstance(read_data(event), QuickOutcome)
    row = {"type": OBSERVATION, "data": {"model": "car-price", "row": {"year": 1976}}}
    assert isinstance(read_data(read_event(GOOD | row)), QuickObservation)
    assert isinstance(read_event(GOOD | {"team": "sales"}), CloudEvent), "it has its own attribute"
