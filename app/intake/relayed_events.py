"""What another instance's `GET /events` emitted, read as what a client may send.

A labelled row or a label is taken under the source and id that it had from the start, so that
however often and by whichever way it is passed on, it is recorded once. Everything else that a
ledger holds is that ledger's own history: it is passed over, and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from app.intake.cloud_events import OBSERVATION, OUTCOME
from domain.events.envelope import Recorded
from domain.events.events import EVENT_TYPES, ObservationRecorded, OutcomeRecorded
from domain.events.upcasting import upcast

_EMITTED: Final = re.compile(r"org\.whyledger\.([a-z-]+\.[a-z-]+)\.v([1-9][0-9]{0,3})")
_NAMES: Final = frozenset(event.type for event in EVENT_TYPES)
OWN: Final = "of this ledger itself"
ERASED: Final = "erased"
UNPREDICTED: Final = "labels of predictions that were not made here"


@dataclass(frozen=True, slots=True)
class Relayed:
    """An emitted event that is taken: as a client would have sent it, and whose row it labels."""

    sent: dict[str, Any]
    identity: str  # the row's


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An emitted event that is not taken, and why, as it is counted."""

    why: str


def relayed(item: object, ledger_id: str) -> Relayed | PassedOver | None:
    """`item` as this instance takes it; None: no ledger emitted it.

    Args:
        item: what was sent, any JSON value.
        ledger_id: this instance's.
    """
    if not isinstance(item, Mapping):
        return None
    found = _EMITTED.fullmatch(str(item.get("type")))
    if found is None or found[1] not in _NAMES:
        return None
    name, schema, data = found[1], int(found[2]), item.get("data")
    if name not in (ObservationRecorded.type, OutcomeRecorded.type):
        return PassedOver(name)
    if item.get("source") == f"urn:whyledger:ledger:{ledger_id}":
        return PassedOver(OWN)
    if not isinstance(data, Mapping):
        return PassedOver(ERASED) if item.get("erased") is True else None
    try:
        _, data = upcast(name, schema, dict(data))
        return _taken(name, data, item.get("time"))
    except (KeyError, TypeError):
        return None  # it says that it is one, and is not: refused by its type


def _taken(name: str, data: Mapping[str, Any], time: object) -> Relayed:
    sent: dict[str, Any] = {
        "specversion": "1.0",
        "id": data["source_id"],
        "source": data["source"],
        **data["extensions"],
    }
    if name == ObservationRecorded.type:
        sent |= {"type": OBSERVATION, "data": {"model": data["model"], "row": data["row"]}}
    else:
        label = {name: data[name] for name in ("model", "prediction_id", "label")}
        sent |= {"type": OUTCOME, "time": time, "data": label}
    return Relayed(sent, data["identity"])


def says_the_same(entry: Recorded, one: Relayed) -> bool:
    """Whether the entry records what `one` says, whatever way it came in by."""
    event, data = entry.event, one.sent["data"]
    if isinstance(event, ObservationRecorded):
        return bool(event.row == data.get("row"))
    if isinstance(event, OutcomeRecorded):
        return bool((event.identity, event.label) == (one.identity, data.get("label")))
    return False
