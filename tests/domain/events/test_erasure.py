"""The envelope of an event about a person commits to its data and does not hold it."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canonical import canonical_bytes
from domain.errors import LedgerDamaged
from domain.events.envelope import envelope_bytes, event_data, parse_entry, payload_of
from domain.events.erasure import SALT_BYTES, Erased, Payload
from domain.events.events import ObservationRecorded
from tests.domain.events.test_envelope import ENVELOPE, REFUSED

SALT = bytes(range(SALT_BYTES))
EVENT = ObservationRecorded(
    model="cars",
    source="/tests",
    source_id="1",
    identity="car=1",
    row={"owner": "Ada", "price": 4.5, "doors": 4.0},
    extensions={},
)
PAYLOAD = payload_of(EVENT, SALT)
CONTENT = envelope_bytes(EVENT, **ENVELOPE, data_commit=PAYLOAD.commit)


def test_the_bytes_hold_the_commitment_and_nothing_of_the_data() -> None:
    envelope = orjson.loads(CONTENT)
    expected = hashlib.sha256(SALT + canonical_bytes(event_data(EVENT))).hexdigest()
    assert envelope["data_commit"] == expected
    assert "data" not in envelope
    assert b"Ada" not in CONTENT
    assert b"car=1" not in CONTENT


def test_with_its_payload_it_reads_as_the_event() -> None:
    recorded = parse_entry(CONTENT, position=7, stream_version=3, apart=lambda _: PAYLOAD)
    assert recorded.event == EVENT


def test_without_its_payload_it_reads_as_erased_and_has_no_data() -> None:
    recorded = parse_entry(CONTENT, position=7, stream_version=3, apart=lambda _: None)
    assert recorded.event == Erased(type=EVENT.type, schema=EVENT.schema)
    assert event_data(recorded.event) == {}
    assert recorded.id == ENVELOPE["id"]


@given(salt=st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES), content=st.binary(max_size=50))
def test_another_payload_is_damage(salt: bytes, content: bytes) -> None:
    with pytest.raises(LedgerDamaged, match="has the commitment"):
        parse_entry(CONTENT, position=7, stream_version=3, apart=lambda _: Payload(salt, content))


def test_it_is_not_read_without_anything_to_read_it_from() -> None:
    with pytest.raises(LedgerDamaged, match="the data of entry 7 stands apart"):
        parse_entry(CONTENT, position=7, stream_version=3)


def test_an_envelope_with_both_or_neither_is_damage() -> None:
    envelope = orjson.loads(CONTENT)
    both = canonical_bytes(envelope | {"data": {}})
    neither = canonical_bytes({k: v for k, v in envelope.items() if k != "data_commit"})
    for content in (both, neither):
        with pytest.raises(LedgerDamaged, match="entry 7 cannot be read: an envelope that has"):
            parse_entry(content, position=7, stream_version=3)


def test_the_bytes_of_other_events_hold_their_data_as_ever() -> None:
    envelope = orjson.loads(envelope_bytes(REFUSED, **ENVELOPE))
    assert envelope["data"] == event_data(REFUSED)
    assert "data_commit" not in envelope
