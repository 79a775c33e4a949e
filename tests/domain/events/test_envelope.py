"""Every event becomes bytes and comes back equal; bytes that are no envelope are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast, get_args, get_origin, get_type_hints

import orjson
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct, ValidationError
from msgspec.structs import replace

from domain.canonical import INTEGER_MAX, canonical_bytes
from domain.errors import LedgerDamaged
from domain.events.block_events import (
    BLOCK_EVENTS,
    BlockEvent,
    OutcomesRecorded,
    TimeColumn,
)
from domain.events.cloud_event import cloud_event
from domain.events.envelope import (
    envelope_bytes,
    event_data,
    event_from_data,
    parse_entry,
    why_unreadable,
)
from domain.events.erasure import Payload
from domain.events.events import EVENT_TYPES, Event, RowsRefused
from domain.events.unreadable import EntryUnreadable, Unreadable, instead_of, said
from tests.domain.events.sample_events import FORCE, STARTED
from tests.domain.events.test_upcasting import ASKED
from tests.plausible import an

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
INTEGERS = st.integers(-INTEGER_MAX, INTEGER_MAX)
FLOATS = st.floats(-1e15, 1e15)
JSON = st.dictionaries(TEXTS, st.none() | TEXTS | INTEGERS | st.lists(INTEGERS, max_size=2))
st.register_type_strategy(str, TEXTS)
st.register_type_strategy(int, INTEGERS)
st.register_type_strategy(float, FLOATS)

ENVELOPE: dict[str, Any] = {
    "id": "01a20867-eb4c-7fec-a896-66c1c2ec481c",
    "stream": "observations-cars",
    "occurred_at": "1976-07-01T00:00:00.000000Z",
    "recorded_at": "2026-02-03T09:30:00.000000Z",
    "actor": "local:unauthenticated",
    "correlation_id": "why",
    "causation_id": None,
}
REFUSED = RowsRefused(model="cars", door="events", rows=2, reasons={"b: x": 1, "a: y": 2})


@st.composite
def _many(draw: st.DrawFn, kind: type[BlockEvent]) -> BlockEvent:
    """An event of many rows; what it says fits together, which chance never hits."""
    columns = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    columns.sort(key=lambda name: name.encode("utf-16-be"))
    times = sorted(draw(st.tuples(TEXTS, TEXTS)))
    said: dict[str, Any] = {
        "row_schema": 1,
        "rows": draw(st.integers(2, 10_000)),
        "rows_root": draw(st.binary(min_size=32, max_size=32)).hex(),
        "occurred_from": times[0],
        "occurred_until": times[1],
    }
    if kind is not OutcomesRecorded:
        time = TimeColumn(column=draw(st.sampled_from(columns)), read_as="timestamp")
        identity = tuple(draw(st.permutations(columns)))
        said |= {"columns": tuple(columns), "identity": identity, "event_time": time}
    fixed = {name: st.just(value) for name, value in said.items()}
    return cast(BlockEvent, draw(st.builds(kind, **fixed)))


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    if issubclass(kind, BLOCK_EVENTS):
        return _many(kind)
    overrides = {name: JSON for name in ("contract", "document") if name in kind.__struct_fields__}
    return st.builds(kind, **overrides)


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.type)
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_every_event_comes_back_as_it_was_recorded(kind: type[Event], data: st.DataObject) -> None:
    event = data.draw(events_of(kind))
    envelope = ENVELOPE | {"stream": event.stream}
    if isinstance(event, BLOCK_EVENTS):
        envelope |= {"occurred_at": event.occurred_until}
    content = envelope_bytes(event, **envelope)
    recorded = parse_entry(content, position=7, stream_version=3, blocks=lambda _: None)
    assert recorded.event == event
    assert (recorded.position, recorded.stream_version) == (7, 3)
    assert {name: getattr(recorded, name) for name in ENVELOPE} == envelope
    # What was read back has the same bytes, so a replay sees what was recorded.
    assert envelope_bytes(recorded.event, **envelope) == content
    said = {"v": 1, "type": kind.type, "schema": kind.schema, "data": as_json(event)} | envelope
    assert content == canonical_bytes(said) == rfc8785.dumps(said)
    assert event_data(event) == said["data"]


def as_json(value: Any) -> Any:
    """What stands in an event, as the JSON that is written of it."""
    if isinstance(value, Struct):
        return {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    return [as_json(each) for each in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("kind", EVENT_TYPES, ids=lambda kind: kind.type)
def test_a_value_of_another_kind_is_refused_and_an_integer_is_a_number(kind: type[Event]) -> None:
    data = event_data(an(kind, **ASKED.get(kind, {})))

    def read(name: str, value: object) -> Event:
        return event_from_data(kind.type, kind.schema, data | {name: value})

    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is ClassVar:
            continue
        allowed = (hint, *get_args(hint))
        if float in allowed:
            assert type(getattr(read(name, 5), name)) is float
        refused: list[object] = [1 if bool in allowed else True]
        refused += ["5", 5.5, 5.0] if int in allowed else [5] if str in allowed else ["5"]
        refused += [] if type(None) in allowed else [None]
        for value in refused:
            with pytest.raises(ValidationError, match=rf"at `\$\.{name}"):
                read(name, value)
    with pytest.raises(ValidationError, match="contains unknown field `badge`"):
        read("badge", "7")


def test_the_envelope_is_closed_and_canonical() -> None:
    content = envelope_bytes(REFUSED, **ENVELOPE)
    document = orjson.loads(content)
    assert list(document) == sorted(document)
    assert canonical_bytes(document) == content
    assert set(document) == set(ENVELOPE) | {"v", "type", "schema", "data"}
    assert (document["v"], document["type"], document["schema"]) == (
        1,
        "observations.rows-refused",
        1,
    )


def test_the_bytes_of_an_entry_are_these_for_ever() -> None:
    assert envelope_bytes(REFUSED, **ENVELOPE) == (
        b'{"actor":"local:unauthenticated","causation_id":null,"correlation_id":"why",'
        b'"data":{"door":"events","model":"cars","reasons":{"a: y":2,"b: x":1},"rows":2},'
        b'"id":"01a20867-eb4c-7fec-a896-66c1c2ec481c",'
        b'"occurred_at":"1976-07-01T00:00:00.000000Z",'
        b'"recorded_at":"2026-02-03T09:30:00.000000Z","schema":1,"stream":"observations-cars",'
        b'"type":"observations.rows-refused","v":1}'
    )


def broken(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = orjson.loads(envelope_bytes(REFUSED, **ENVELOPE))
    change(document)
    return canonical_bytes(document)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "entry 7 cannot be read"),
        (b"[]", "entry 7"),
        (broken(lambda d: d.pop("actor")), "an envelope that has not actor"),
        (broken(lambda d: d.update(position=7)), "an envelope that has also position"),
        (
            broken(lambda d: d.update(v=2)),
            "of version 2, not 1. Use a version at least as new",
        ),
        (broken(lambda d: d.update(type="cycle.invented")), "'cycle.invented' schema 1, unknown"),
        (broken(lambda d: d.update(schema=99)), "schema 99, unknown"),
        (broken(lambda d: d.update(type="cycle.decided")), "entry 7 cannot be read.*KeyError"),
        (broken(lambda d: d.update(actor=7)), "an envelope whose actor is no text"),
        (broken(lambda d: d.update(schema="1")), "an envelope whose schema is no number"),
        (
            broken(lambda d: d.update(stream="model-cars")),
            "does not belong into the stream 'model-cars'",
        ),
        (broken(lambda d: d["data"].pop("rows")), "entry 7 cannot be read.*rows"),
        (broken(lambda d: d["data"].update(rows="many")), "entry 7 cannot be read"),
        (broken(lambda d: d["data"].update(bodies=[])), "entry 7 cannot be read.*bodies"),
    ],
)
def test_bytes_that_are_no_envelope_are_refused(content: bytes, told: str) -> None:
    with pytest.raises(LedgerDamaged, match=rf"(?s){told}"):
        parse_entry(content, position=7, stream_version=0)
    assert why_unreadable(content, 7) is not None


def test_what_cannot_be_read_has_no_data_and_says_why() -> None:
    assert why_unreadable(envelope_bytes(REFUSED, **ENVELOPE), 7) is None
    apart = envelope_bytes(REFUSED, **ENVELOPE, data_commit="0" * 64)
    assert why_unreadable(apart, 7) is None
    unreadable = Unreadable(type="a", schema=1, why="bytes that are no JSON")
    assert event_data(unreadable) == {}
    entry = replace(
        parse_entry(envelope_bytes(REFUSED, **ENVELOPE), position=7, stream_version=0),
        event=unreadable,
    )
    shown = cloud_event(entry, "a ledger")
    assert (shown["unreadable"], "data" in shown) == ("bytes that are no JSON", False)
    assert said(7, unreadable.why) == (
        "position 7: the entry: expected one that can be read; found bytes that are no JSON."
    )


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (REFUSED, "entry 7 is 'observations.rows-refused', not 'a.b'. Stop writing"),
        (Unreadable(type="a.b", schema=1, why="no envelope"), "position 7: the entry: expected"),
        (Unreadable(type="a.b", schema=1, why="7 was edited", edited=True), "7 was edited."),
    ],
)
def test_an_entry_of_another_type_than_its_place_says_is_told_by_what_is_wrong_with_it(
    event: Event | Unreadable, told: str
) -> None:
    assert instead_of(7, event, "a.b").message.startswith(told)


def test_a_field_that_no_schema_names_is_refused_wherever_it_stands() -> None:
    forced = replace(STARTED, force=FORCE)
    data = event_data(forced)
    assert event_from_data(forced.type, forced.schema, data) == forced
    data["force"]["badge"] = "7"
    with pytest.raises(ValidationError, match=r"unknown field `badge` - at `\$\.force`"):
        event_from_data(forced.type, forced.schema, data)


def test_event_data_is_plain_json() -> None:
    data = event_data(REFUSED)
    assert data == orjson.loads(orjson.dumps(data))
    assert event_from_data(REFUSED.type, REFUSED.schema, data) == REFUSED


def test_text_that_holds_nul_is_read_by_nobody_and_a_backslash_before_u0000_is_none() -> None:
    def read(reason: str) -> str | None:
        event = replace(REFUSED, reasons={reason: 1})
        return why_unreadable(envelope_bytes(event, **ENVELOPE), 7)

    assert read("a\0b") == "text that holds U+0000 (NUL)"
    assert read("a\\\0b") == "text that holds U+0000 (NUL)"
    assert read("a\\u0000b") is None
    assert read("a\\\\u0000b") is None


def test_nor_is_one_whose_data_stands_apart() -> None:
    content = canonical_bytes(event_data(replace(REFUSED, reasons={"a\0b": 1})))
    payload = Payload(bytes(32), content)
    entry = envelope_bytes(REFUSED, **ENVELOPE, data_commit=payload.commit)
    with pytest.raises(EntryUnreadable, match=r"text that holds U\+0000"):
        parse_entry(entry, position=7, stream_version=0, apart=lambda _: payload)
