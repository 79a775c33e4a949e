"""What comparing read models and folding them anew hold does not grow with the ledger."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.ledger.store import Ledger
from app.projections.rebuild import rebuild
from app.proof.verify import read_models, verification
from domain.events.cycle_events import NotDecided
from tests.ledger_events import put, refused, started
from tests.peak import peak
from tests.plausible import an

FEW = 30  # cycles
BYTES = 20_000  # that each of them says: cycles say much
AT_ONCE = 10  # entries


def grow_to(ledger: Ledger, cycles: int, there: int = 0) -> None:
    """Cycles that come to nothing and say at length why, and a row of refusals for each."""
    for number in range(there + 1, cycles + 1):
        why = f"{number:0{BYTES}}"
        put(ledger, f"cycle-cars-{number}", started(number), an(NotDecided, reason=why))
        put(ledger, "observations-cars", refused())


def compare(ledger: Ledger) -> None:
    """As a verification does last."""
    found = verification.verify(ledger, None)
    assert (found.breaks, found.read_models > 0) == ((), True)


def fold_anew(ledger: Ledger) -> None:
    assert rebuild(ledger, page_entries=AT_ONCE).differing == ()


@pytest.mark.parametrize("work", [compare, fold_anew])
def test_of_four_times_as_many_cycles_no_more_is_held_at_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, work: Callable[[Ledger], None]
) -> None:
    """Given 30 cycles and 120, then the most that is held grows by less than a tenth of what the
    further ones say: held whole, their rows of three read models come to several times that."""
    monkeypatch.setattr(verification, "_PAGE_ENTRIES", AT_ONCE)
    monkeypatch.setattr(read_models, "PAGE_ENTRIES", AT_ONCE)
    held, there = [], 0
    for cycles in (FEW, 4 * FEW):
        grow_to(ledger, cycles, there)
        there = cycles
        ledger.rows.catch_up()
        held.append(peak(lambda: work(ledger)))
    assert held[1] - held[0] <= 3 * FEW * BYTES / 10
