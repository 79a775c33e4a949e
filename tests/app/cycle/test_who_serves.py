"""Who serves and since when is said by the entry that the reign began with, found by its place."""

from __future__ import annotations

import pytest

from app.cause import Cause
from app.cycle.reigns import reign_at, who_serves
from app.ledger.damage import record_damage, settle_known
from app.ledger.reading import read_stream
from app.ledger.store import Ledger
from domain.decisions.damage import SettleDamage
from domain.decisions.lifecycle import fold
from domain.errors import LedgerDamaged
from domain.events.events import CandidatePromoted, ChampionRolledBack, Event, ValueMeasured
from tests import ledger_events as events
from tests.app.proof.forger import change, edited
from tests.plausible import an

SOMEBODY = Cause.unauthenticated("a reader")
WORTH = an(ValueMeasured, model="cars")


def tell(ledger: Ledger, *said: Event, model: str = "cars") -> int:
    return events.put(ledger, f"model-{model}", *said)[-1].position


def promote(ledger: Ledger, number: int, model: str = "cars", replaced: str | None = None) -> int:
    events.put(ledger, f"cycle-{model}-{number}", events.started(number, model))
    version = f"{model}/{number}"
    return tell(ledger, events.promoted(version, f"{model}-{number}", model, replaced), model=model)


def begun(ledger: Ledger, before: int) -> tuple[int, str, str | None] | None:
    """As whoever reads the whole stream of cars finds it."""
    found = None
    with ledger.connect() as connection:
        for entry in read_stream(connection, "model-cars").entries:
            event = entry.event
            if entry.position < before and isinstance(
                event, CandidatePromoted | ChampionRolledBack
            ):
                found = entry.position, event.model_version, event.replaced
    return found


def test_it_is_who_the_whole_stream_says(ledger: Ledger) -> None:
    tell(ledger, events.contract_adopted("cars"))
    tell(ledger, events.contract_adopted("vans"), model="vans")
    promote(ledger, 1)
    tell(ledger, WORTH, WORTH)
    promote(ledger, 1, "vans")
    promote(ledger, 2, replaced="cars/1")
    tell(ledger, WORTH, events.rolled_back("cars/1", "cars/2"), WORTH)
    promote(ledger, 3, replaced="cars/1")
    tell(ledger, events.contract_adopted("cars", "another-policy"))
    for before in range(ledger.size() + 1):
        with ledger.connect() as connection:
            reign = reign_at(connection, "cars", before=before)
        found = reign and (reign.position, reign.champion.model_version, reign.previous)
        assert found == begun(ledger, before)
    for model in ("cars", "vans", "bikes"):
        with ledger.connect() as connection:
            state, history = who_serves(model).at(connection)
            whole = read_stream(connection, f"model-{model}")
        assert state.champion == fold(entry.event for entry in whole.entries).champion
        assert (history.stream, history.version) == (whole.stream, whole.version)


def test_of_an_entry_that_is_not_what_was_written_nobody_decides_by_it_until_it_is_accepted(
    ledger: Ledger,
) -> None:
    tell(ledger, events.contract_adopted("cars"))
    first = promote(ledger, 1)
    last = promote(ledger, 2, replaced="cars/1")
    content = edited(ledger.stored_bytes(last, last)[0], cycle="cars-9")
    edit = "UPDATE entries SET bytes = :content WHERE position = :position"
    change(ledger, edit, content=content, position=last)
    for looks in (lambda c: reign_at(c, "cars", before=last + 1), who_serves("cars").at):
        with pytest.raises(LedgerDamaged, match=f"ledger entry {last}"):
            with ledger.connect() as connection:
                looks(connection)
    record_damage(ledger, SOMEBODY)
    settle_known(ledger, SettleDamage(how="accepted", reason="we know who"), SOMEBODY)
    with ledger.connect() as connection:
        reign = reign_at(connection, "cars", before=last + 1)
        state, _ = who_serves("cars").at(connection)
    assert reign is not None
    assert reign.position == first
    assert state.champion is not None
    assert state.champion.model_version == "cars/1"
