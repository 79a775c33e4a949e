"""What became of a CSV is found by what its bytes hash to, however often it was sent."""

from __future__ import annotations

from msgspec.structs import replace

from app.ledger.store import Ledger
from app.projections.datasets import last_received
from tests import ledger_events as events

OURS, OTHER = "a" * 64, "b" * 64


def test_of_a_file_that_was_sent_more_than_once_the_last_time_counts(ledger: Ledger) -> None:
    def received(model: str, sha256: str) -> int:
        told = replace(events.received(model), dataset_sha256=sha256)
        return events.put(ledger, f"observations-{model}", told)[-1].position

    received("cars", OURS)
    received("cars", OTHER)
    again = received("cars", OURS)
    of_vans = received("vans", OURS)
    with ledger.connect() as connection:
        assert last_received(connection, "cars", OURS) == again
        assert last_received(connection, "vans", OURS) == of_vans
        assert last_received(connection, "vans", OTHER) is None
