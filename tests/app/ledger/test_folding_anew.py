"""An entry that does not fit has the ledger folded anew once, not for everybody who comes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import func, select

from app.ledger.past import Past
from app.ledger.store import Connection, Ledger
from app.projections.keeping import Keeping
from app.projections.opening import open_ledger
from app.projections.read_model import ReadModel
from app.projections.refusals import APPLY, REFUSALS
from app.settings import Settings
from domain.errors import ReadModelUnfit
from domain.events.envelope import Recorded
from domain.events.events import RowsRefused
from tests.app.planting import plant, planted_bytes
from tests.ledger_events import put, refused

POISON = 99  # refused rows that no fold takes
STREAM = "observations-cars"


class Folded:
    """A read model that a poison stops, and the positions that were folded into it."""

    def __init__(self, settings: Settings) -> None:
        self.positions: list[int] = []
        self.looks = False
        self.read_meanwhile: list[int] = []  # rows that others saw as entry 1 was folded again
        keeping = Keeping([ReadModel(REFUSALS, {RowsRefused: self._fold})], page_entries=2)
        self.ledger: Ledger = open_ledger(settings, keeping=keeping)

    def _fold(self, connection: Connection, past: Past, entries: Sequence[Recorded]) -> None:
        for entry in entries:
            if self.looks and entry.position == 1:
                with self.ledger.engine.connect() as other:
                    rows = other.execute(select(func.count()).select_from(REFUSALS))
                    self.read_meanwhile.append(rows.scalar_one())
            self.positions.append(entry.position)
            if isinstance(entry.event, RowsRefused) and entry.event.rows == POISON:
                raise ValueError("a poison")
        APPLY[RowsRefused](connection, past, entries)


@pytest.fixture
def folded(settings: Settings) -> Iterator[Folded]:
    """Entries 1 to 3 are refusals."""
    found = Folded(settings)
    put(found.ledger, STREAM, *[refused(n + 1) for n in range(3)])
    yield found
    found.ledger.close()


def test_who_sends_it_again_and_again_has_all_of_the_ledger_folded_once(folded: Folded) -> None:
    folded.looks = True
    for _ in range(4):
        with pytest.raises(ReadModelUnfit):
            put(folded.ledger, STREAM, refused(POISON))
    assert folded.positions.count(1) == 2  # as it was appended, and once anew
    assert folded.read_meanwhile == [3]  # beside: what stands there is read until then
    (recorded,) = put(folded.ledger, STREAM, refused(4))
    assert recorded.position == 4


def test_one_that_was_planted_has_it_folded_once_for_however_many_readers(folded: Folded) -> None:
    poison = planted_bytes(refused(POISON), STREAM)
    with folded.ledger.engine.begin() as connection:
        plant(connection, poison, stream=STREAM, type=RowsRefused.type)
    for _ in range(4):
        with pytest.raises(ValueError, match="a poison"), folded.ledger.connect():
            pass
    assert folded.positions.count(1) == 2  # as it was appended, and once anew


def test_whoever_asks_for_it_has_it_folded_all_the_same(folded: Folded) -> None:
    with pytest.raises(ReadModelUnfit):
        put(folded.ledger, STREAM, refused(POISON))
    put(folded.ledger, STREAM, refused(4))
    folded.positions.clear()
    folded.ledger.fold_anew()
    assert folded.positions == [1, 2, 3, 4]
