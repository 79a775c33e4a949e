"""What became of a CSV is found by what its bytes hash to, however often it was sent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from app.cause import Cause
from app.intake.intake import received_dataset
from app.ledger.damage import record_damage, settle_known
from app.ledger.store import Ledger
from app.projections.datasets import DATASETS
from domain.decisions.damage import SettleDamage
from domain.errors import LedgerDamaged, ReadModelUnfit
from tests import ledger_events as events
from tests.app.proof.forger import change, edited

OURS, OTHER = "a" * 64, "b" * 64
SOMEBODY = Cause.unauthenticated("a reader")


def received(ledger: Ledger, model: str, sha256: str, *, quarantined: int = 0) -> int:
    told = replace(events.received(model), dataset_sha256=sha256, quarantined=quarantined)
    with_refused = (events.refused(quarantined, model), told) if quarantined else (told,)
    return events.put(ledger, f"observations-{model}", *with_refused)[-1].position


def found(ledger: Ledger, model: str, sha256: str) -> tuple[int, int | None] | None:
    """Where it says that the file was read to its end, and that rows were refused."""
    with ledger.connect() as connection:
        there = received_dataset(connection, model, sha256)
    if there is None:
        return None
    entry, refused = there
    return entry.position, None if refused is None else refused.position


def test_of_a_file_that_was_sent_more_than_once_the_last_time_is_told(ledger: Ledger) -> None:
    received(ledger, "cars", OURS, quarantined=2)
    received(ledger, "cars", OTHER)
    again = received(ledger, "cars", OURS)
    of_vans = received(ledger, "vans", OURS, quarantined=3)
    received(ledger, "cars", OTHER)
    assert found(ledger, "cars", OURS) == (again, None)
    assert found(ledger, "vans", OURS) == (of_vans, of_vans - 1)
    assert found(ledger, "vans", OTHER) is None


@pytest.mark.parametrize("earlier", [0, 1])
def test_what_is_not_what_was_written_tells_nothing_and_once_accepted_is_passed_over(
    ledger: Ledger, earlier: int
) -> None:
    first = received(ledger, "cars", OURS)
    last = received(ledger, "cars", OURS, quarantined=2)
    at = last - earlier
    content = edited(ledger.stored_bytes(at, at)[0], model="vans")
    edit = "UPDATE entries SET bytes = :content WHERE position = :position"
    change(ledger, edit, content=content, position=at)
    with pytest.raises(LedgerDamaged, match=f"ledger entry {at}"):
        found(ledger, "cars", OURS)
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="we know who"), SOMEBODY)
    assert found(ledger, "cars", OURS) == ((last, None) if earlier else (first, None))


@pytest.mark.parametrize("instead", ["another file's", "of another kind", "of nothing"])
def test_where_somebody_changed_the_place_nothing_of_another_is_told(
    ledger: Ledger, instead: str
) -> None:
    received(ledger, "cars", OURS)
    places = {"another file's": received(ledger, "cars", OTHER), "of another kind": 0}
    position = places.get(instead, 999)
    with ledger.writing() as connection:
        ours = DATASETS.c.dataset_sha256 == OURS
        connection.execute(update(DATASETS).where(ours).values(position=position))
        connection.commit()
    with pytest.raises(ReadModelUnfit, match="'position' of a DatasetView"):
        found(ledger, "cars", OURS)
