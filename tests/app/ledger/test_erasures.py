"""What an erasure may name is read from entries, each checked against its leaf and read once."""

from __future__ import annotations

import pytest
from sqlalchemy.event import listen

from app.ledger.erasures import erased_artefacts, positions_gone
from app.ledger.store import Ledger
from domain.canonical import sha256_hex
from domain.errors import LedgerDamaged
from domain.events.cycle_events import DataMerged
from tests.app.planting import erasure, plant_event
from tests.app.proof.forger import change, guards_dropped
from tests.ledger_events import prediction, put
from tests.plausible import SHA, an

FROZEN = an(DataMerged, identities_sha256=sha256_hex(b"identities"))


def test_what_an_edited_entry_froze_is_damage_and_not_gone(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        position = plant_event(connection, FROZEN, stream="cycle-cars-1")
        plant_event(connection, erasure(artefacts=(FROZEN.identities_sha256,)))
    with ledger.engine.connect() as connection:
        assert erased_artefacts(connection) == {FROZEN.identities_sha256}
    change(
        ledger,
        "UPDATE entries SET bytes = :other WHERE position = :position",
        other=b'{"data": {"reference_sha256": "%b"}}' % SHA.encode(),
        position=position,
    )
    with ledger.engine.connect() as connection:
        with pytest.raises(LedgerDamaged, match=f"ledger entry {position}: the stored bytes"):
            erased_artefacts(connection)


@pytest.mark.parametrize(
    "changed", [(b'"data":', b'"more":'), (b"{", b""), (b'"data":{', b'"data":[],"x":{')]
)
def test_an_entry_that_nobody_can_read_froze_nothing(
    ledger: Ledger, changed: tuple[bytes, bytes]
) -> None:
    with guards_dropped(ledger) as connection:  # which refuse bytes that are no JSON
        plant_event(connection, FROZEN, stream="cycle-cars-1", changed=changed)
        plant_event(connection, erasure(artefacts=(FROZEN.identities_sha256,)))
    with ledger.engine.connect() as connection:
        assert erased_artefacts(connection) == frozenset()


def test_what_a_model_froze_is_read_once_however_many_erasures_name_it(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        plant_event(connection, FROZEN, stream="cycle-cars-1")
        for _ in range(5):
            plant_event(connection, erasure(artefacts=(FROZEN.identities_sha256,)))
    asked: list[str] = []
    with ledger.engine.connect() as connection:
        listen(connection, "before_cursor_execute", lambda *said: asked.append(said[2]))
        erased_artefacts(connection)
    looked = [each for each in asked if each.startswith("SELECT")]
    assert len(looked) == 2, "at the erasures, and at what cars froze"


def test_what_is_gone_is_read_once_a_connection_until_there_is_another_erasure(
    ledger: Ledger,
) -> None:
    """Given erasures, when entries are paged through, then only a new one has them read again."""
    for number in (1, 2, 3):
        put(ledger, "predictions-cars", prediction(f"car={number}"))
    asked: list[str] = []
    with ledger.engine.connect() as connection:
        listen(connection, "before_cursor_execute", lambda *said: asked.append(said[2]))

        def looks() -> int:
            """How often what erasures say was read since it was asked before."""
            found = sum("entries.bytes" in each for each in asked)
            asked.clear()
            return found

        plant_event(connection, erasure(entries=(1,)))
        connection.commit()
        assert positions_gone(connection) == positions_gone(connection) == {1}
        assert looks() == 1
        plant_event(connection, erasure(entries=(2,)))
        assert positions_gone(connection) == {1, 2}
        assert looks() == 1
        connection.rollback()  # and another one takes its place
        plant_event(connection, erasure(entries=(3,)))
        assert positions_gone(connection) == {1, 3}
        assert looks() == 1
