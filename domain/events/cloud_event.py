"""An entry as whoever reads the ledger from outside is given it: a CloudEvent 1.0.

Source of the format: CloudEvents 1.0, structured mode; `sequence` is its sequence extension.
"""

from __future__ import annotations

from typing import Any

from domain.events.envelope import Recorded, event_data
from domain.events.erasure import Erased
from domain.events.unreadable import Unreadable


def sequence_of(entry: Recorded) -> str:
    """Where it stands, as text: `812`, or `812.00417` for row 417 of an entry of many."""
    one = entry.rows == 1 or entry.rows_apart is not None
    return str(entry.position) if one else f"{entry.position}.{entry.row:05d}"


def cloud_event(entry: Recorded, ledger_id: str) -> dict[str, Any]:
    """The entry, or one row of it, as a CloudEvent 1.0.

    It has no data when that is erased, or when nobody can read the entry.
    """
    event = {
        "specversion": "1.0",
        "id": entry.id,
        "source": f"urn:whyledger:ledger:{ledger_id}",
        "type": f"org.whyledger.{entry.event.type}.v{entry.event.schema}",
        "subject": entry.stream,
        "time": entry.occurred_at,
        "sequence": sequence_of(entry),
        "streamversion": entry.stream_version,
        "recordedat": entry.recorded_at,
        "actor": entry.actor,
        "correlationid": entry.correlation_id,
    }
    if entry.causation_id is not None:
        event["causationid"] = entry.causation_id
    if isinstance(entry.event, Erased):
        return event | {"erased": True}
    if isinstance(entry.event, Unreadable):
        return event | {"unreadable": entry.event.why}
    return event | {"datacontenttype": "application/json", "data": event_data(entry.event)}
