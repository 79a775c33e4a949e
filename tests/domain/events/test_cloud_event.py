"""An entry goes out as a CloudEvent that says where it stands, who acted, and what led to it."""

from __future__ import annotations

from msgspec.structs import replace

from domain.events.cloud_event import cloud_event
from domain.events.envelope import Recorded, event_data
from domain.events.erasure import Erased
from domain.events.events import RowsRefused

ENTRY = Recorded(
    position=7,
    stream="observations-cars",
    stream_version=3,
    id="01a20867-eb4c-7fec-a896-66c1c2ec481c",
    event=RowsRefused(model="cars", door="events", rows=2, reasons={"a: y": 2}),
    occurred_at="1976-07-01T00:00:00.000000Z",
    recorded_at="2026-02-03T09:30:00.000000Z",
    actor="key:ada",
    correlation_id="why",
    causation_id=None,
)


def test_an_entry_is_a_cloud_event_of_its_ledger_in_the_order_of_positions() -> None:
    assert cloud_event(ENTRY, "0198") == {
        "specversion": "1.0",
        "id": ENTRY.id,
        "source": "urn:whyledger:ledger:0198",
        "type": "org.whyledger.observations.rows-refused.v1",
        "subject": "observations-cars",
        "time": "1976-07-01T00:00:00.000000Z",
        "sequence": "7",
        "streamversion": 3,
        "recordedat": "2026-02-03T09:30:00.000000Z",
        "actor": "key:ada",
        "correlationid": "why",
        "datacontenttype": "application/json",
        "data": event_data(ENTRY.event),
    }


def test_what_led_to_an_entry_is_named_where_something_did() -> None:
    assert cloud_event(replace(ENTRY, causation_id="earlier"), "0198")["causationid"] == "earlier"


def test_an_erased_entry_says_so_and_has_no_data() -> None:
    gone = replace(ENTRY, event=Erased(type=ENTRY.event.type, schema=1))

    sent = cloud_event(gone, "0198")

    assert sent["erased"] is True
    assert "data" not in sent
    assert sent["type"] == "org.whyledger.observations.rows-refused.v1"
