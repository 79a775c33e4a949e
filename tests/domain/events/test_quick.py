"""The quick way writes the same bytes as the way round and reads the same, or leaves it to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from domain.canonical import INTEGER_MAX, canonical_bytes
from domain.errors import LedgerDamaged, NotCanonical
from domain.events import envelope
from domain.events.block_events import OutcomesRecorded, PredictionsMade
from domain.events.envelope import envelope_bytes, event_data, parse_entry, payload_of
from domain.events.erasure import Payload
from domain.events.events import (
    Event,
    ObservationRecorded,
    OutcomeRecorded,
    PredictionMade,
    RowsRefused,
)
from domain.events.quick import data_quickly, data_written_quickly, entry_quickly
from tests.domain.tampering import tampered
from tests.plausible import an

FLOATS: Final = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-100, 100).map(lambda value: round(value, 3))
    | st.integers(-(10**6), 10**6).map(float)
    | st.sampled_from([-0.0, 0.0, 1e-5, 9.999e-6, 1e15, 999999999999999.9, 5e-324])
)
NAMES: Final = st.sampled_from(["hpwt", "air", "maß", "\U0001f697", "\ufb33", '"', "\x7f"])
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | NAMES
INTEGERS: Final = st.integers(-INTEGER_MAX, INTEGER_MAX)
ROWS: Final = st.dictionaries(NAMES, FLOATS | INTEGERS | TEXTS | st.none() | st.booleans())
PREDICTED: Final = an(PredictionMade)
OBSERVED: Final = an(ObservationRecorded)
LABELLED: Final = an(OutcomeRecorded, prediction_id="01a21884-4067-7d14-a967-6b9711276570")
OF_ROWS: Final[tuple[Event, ...]] = (
    *(PREDICTED, OBSERVED, LABELLED),
    *(an(PredictionsMade), an(OutcomesRecorded)),
)
ENVELOPE: Final[dict[str, Any]] = {
    "id": "01a20867-eb4c-7fec-a896-66c1c2ec481c",
    "occurred_at": "1976-07-01T00:00:00.000000Z",
    "recorded_at": "2026-02-03T09:30:00.000000Z",
    "actor": "local:unauthenticated",
    "correlation_id": "why",
    "causation_id": None,
}


def written(event: Event, **said: Any) -> bytes:
    return envelope_bytes(event, **{**ENVELOPE, "stream": event.stream, **said})


@settings(max_examples=300)
@example({"hpwt": 0.5, "air": 1}, 7.25)
@example({"hpwt": 1.0, "maß": "x"}, 0.0)
@given(ROWS, FLOATS)
def test_the_data_of_rows_has_the_bytes_that_rfc8785_gives_it(
    row: dict[str, Any], number: float
) -> None:
    for event in (
        replace(PREDICTED, row=row, prediction=number),
        replace(OBSERVED, row={}, extensions=row),
        replace(OBSERVED, row=row),
        replace(LABELLED, label=number, identity=next(iter(row), "")),
    ):
        content = payload_of(event, bytes(32)).content
        assert content == canonical_bytes(event_data(event)) == rfc8785.dumps(event_data(event))
        assert data_written_quickly(event) in {content, None}


@pytest.mark.parametrize("event", OF_ROWS, ids=lambda event: event.type)
def test_ordinary_rows_go_the_quick_way(event: Event) -> None:
    content, apart = written(event), payload_of(event, bytes(32))
    assert data_written_quickly(event) == apart.content
    assert data_quickly(event.type, event.schema, apart.content) == event
    found = entry_quickly(content)
    assert found is not None
    assert (found.data, asdict(found) | ENVELOPE) == (event, asdict(found))
    if isinstance(event, PredictionMade | ObservationRecorded):
        whole = replace(event, row=event.row | {"hpwt": 4.0, "doors": 0.0, "make": "Å"})
        assert data_written_quickly(whole) == canonical_bytes(event_data(whole))


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), INTEGER_MAX + 1, "\ud800"])
def test_what_has_no_canonical_form_is_refused_as_everywhere(value: Any) -> None:
    for event in (replace(PREDICTED, row={"hpwt": value}), replace(OBSERVED, row={"hpwt": value})):
        with pytest.raises(NotCanonical, match=r"^/data/row/hpwt: "):
            written(event)
    with pytest.raises(NotCanonical, match=r"^/data/row: 1 has no canonical form"):
        written(replace(OBSERVED, row={1: value}))
    with pytest.raises(NotCanonical, match=r"^/data/prediction: "):
        written(replace(PREDICTED, prediction=value))
    with pytest.raises(NotCanonical, match=r"^/data/(label|extensions/hpwt): "):
        written(replace(LABELLED, label=value, extensions={"hpwt": value}))
    if isinstance(value, str):
        with pytest.raises(NotCanonical, match=r"^/data/identity: "):
            written(replace(LABELLED, identity=value))
    if isinstance(value, int):
        with pytest.raises(NotCanonical, match=r"^/data/rows: "):
            written(an(PredictionsMade, rows=value))


def test_what_numpy_calls_a_double_or_a_text_is_written_as_ours() -> None:
    ours = replace(PREDICTED, prediction=0.1, identity="car=1")
    numpys = replace(PREDICTED, prediction=np.float64(0.1), identity=np.str_("car=1"))
    assert written(numpys) == written(ours)
    assert payload_of(numpys, bytes(32)) == payload_of(ours, bytes(32))
    assert event_data(numpys) == event_data(ours)
    with pytest.raises(TypeError, match="an event holds a object, which JSON does not have"):
        written(replace(PREDICTED, row={"hpwt": object()}))


@contextmanager
def the_way_round() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelope, "entry_quickly", lambda _: None)
        patch.setattr(envelope, "data_quickly", lambda *_: None)
        yield


def told(content: bytes, apart: Payload | None) -> str:
    """The entry in `content` with each of its values, or why nobody can read it."""
    try:
        return repr(
            parse_entry(
                content,
                position=7,
                stream_version=0,
                apart=lambda _: apart,
                blocks=lambda _: None,
            )
        )
    except LedgerDamaged as error:
        return error.message


@settings(max_examples=600)
@given(data=st.data())
def test_whatever_somebody_made_of_an_entry_both_ways_say_the_same_of_it(
    data: st.DataObject,
) -> None:
    event = data.draw(st.sampled_from(OF_ROWS))
    payload = payload_of(event, bytes(32))
    stands_apart = data.draw(st.booleans())
    if stands_apart and data.draw(st.booleans()):
        payload = Payload(payload.salt, data.draw(tampered(payload.content)))
        content = written(event, data_commit=payload.commit)
    else:
        commit = {"data_commit": payload.commit} if stands_apart else {}
        content = data.draw(tampered(written(event, **commit)))
    found = told(content, payload)
    with the_way_round():
        assert told(content, payload) == found


def test_data_of_another_type_or_schema_is_left_to_the_way_round() -> None:
    assert data_quickly(RowsRefused.type, RowsRefused.schema, b"{}") is None
    assert data_quickly(ObservationRecorded.type, 1, b"{}") is None
