"""A cycle decides on no fewer rows than it may look at: it waits for them, or is refused."""

from __future__ import annotations

import pytest

from app.cycle.steps.knowledge import Knowledge
from app.cycle.stream import read_cycle
from domain.errors import LedgerBusy
from tests.app.car_ledger import CarLedger, year_end
from tests.app.cycle.held_up_rows import hold_up_rows


@pytest.mark.parametrize(
    "asked",
    ["window", "window_by_time", "trainable", "window_labels", "new_samples", "counts", "basis"],
)
def test_nothing_is_judged_on_rows_that_are_not_folded(
    cars: CarLedger, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    cars.answers(cars.rows([1976]))
    cycle = cars.starts(year_end(1976))
    state, history = read_cycle(cars.ledger, cycle)
    known = Knowledge(cars.ledger, cars.settings, state.begun, history.entries[0].position)

    hold_up_rows(cars.ledger, monkeypatch)

    with cars.ledger.connect():
        pass  # a page is shown as of the entry up to which they are folded
    with pytest.raises(LedgerBusy, match="not folded"):
        getattr(known, asked)
